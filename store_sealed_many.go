package nebula

import "context"

// GetSealedMany is [Store.GetSealed] for several ids, in as few calls as the
// backend allows. It returns one result for each id, in their order.
func (s *Store) GetSealedMany(ctx context.Context, ids []ID) []BatchResult {
	return s.sealedMany(ctx, ids, func(_ Name, r Record) (Record, error) { return r, nil })
}

// VerifyMany is [Store.Verify] for several ids, in as few calls as the backend
// allows. It returns one result for each id, in their order.
func (s *Store) VerifyMany(ctx context.Context, ids []ID) []BatchResult {
	return s.sealedMany(ctx, ids, func(name Name, r Record) (Record, error) {
		c, newest, err := s.openNewest(ctx, name, r, &prefetch{}, func(Record) error { return nil })
		c.Secret.Wipe()
		return newest, err
	})
}

func (s *Store) sealedMany(ctx context.Context, ids []ID, check func(Name, Record) (Record, error)) []BatchResult {
	results := make([]BatchResult, len(ids))
	names, places := make([]Name, 0, len(ids)), make([]int, 0, len(ids))
	scope, refused := s.scope(ctx)
	for i, id := range ids {
		name, err := id.Name()
		if err == nil {
			err = refused
		}
		if results[i].Err = s.locate(err, "retrieve", id); err == nil {
			names, places = append(names, name), append(places, i)
		}
	}
	for j, read := range s.retrieveAll(ctx, names) {
		i := places[j]
		if read.Err == nil && scope != "" && read.Record.Envelope.metadata.Scope != scope {
			read.Err = notFound()
		}
		if read.Err == nil {
			read.Record, read.Err = check(names[j], read.Record)
		}
		if read.Err != nil {
			results[i].Err = s.locate(read.Err, "retrieve", ids[i])
			continue
		}
		results[i].Record = read.Record
	}
	return results
}
