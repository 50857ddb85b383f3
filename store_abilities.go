package nebula

// Abilities says what the backend of a store can do besides keeping credentials.
type Abilities struct {
	Restore       bool // bring back what was deleted
	History       bool // list versions
	OldVersions   bool // read one
	Preconditions bool // compare before a write or a deletion
}

// Abilities returns the abilities of the store's provider. It does no I/O.
func (s *Store) Abilities() Abilities {
	_, restores := As[Restorer](s.provider)
	_, lists := As[Historian](s.provider)
	_, reads := As[VersionRetriever](s.provider)
	return Abilities{Restore: restores, History: lists, OldVersions: reads, Preconditions: !s.description.NoPreconditions}
}
