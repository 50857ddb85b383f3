package azure

// PollEvery is the time between two looks at what Key Vault is doing.
const PollEvery = pollEvery
