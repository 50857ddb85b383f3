package azure

// ReachLimit is how long a managed identity's endpoint may take to be reached.
const ReachLimit = reachLimit
