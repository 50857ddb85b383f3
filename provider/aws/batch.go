package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// batchSize is how many secrets AWS reads in a call.
	batchSize = 20
	// batchesAtOnce is how many of these calls are under way. AWS allows 100 of
	// them a second, in account and region.
	batchesAtOnce = 8
)

// RetrieveBatch implements [nebula.BatchRetriever]. It makes one call for 20
// names.
func (d *driver) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	return d.readBatch(ctx, names), nil
}

// readBatch returns one result for each name, in their order.
func (d *driver) readBatch(ctx context.Context, names []nebula.Name) []nebula.BatchResult {
	b := &batch{d: d, places: make(map[string][]int, len(names)), names: names, results: make([]nebula.BatchResult, len(names))}
	var ids []string
	for i, name := range names {
		id := d.secretID(name)
		if b.places[id] == nil {
			ids = append(ids, id)
		}
		b.places[id] = append(b.places[id], i)
	}
	var group errgroup.Group
	group.SetLimit(batchesAtOnce)
	for part := range slices.Chunk(ids, batchSize) {
		group.Go(func() error { b.readAll(ctx, part); return nil })
	}
	_ = group.Wait()
	return b.results
}

// batch collects results. No two goroutines have the same secret.
type batch struct {
	d       *driver
	names   []nebula.Name
	places  map[string][]int // where each secret's result belongs
	results []nebula.BatchResult
}

// readAll reads these secrets, in one call, and in more if AWS leaves some
// out of its answer. Anyone who may not read in batches reads them one by one.
func (b *batch) readAll(ctx context.Context, ids []string) {
	for len(ids) > 0 {
		if b.d.batchDenied.Load() {
			b.readEach(ctx, ids)
			return
		}
		left, err := b.read(ctx, ids)
		if awsapi.HasCode(err, awsapi.CodeDenied) {
			b.d.batchDenied.Store(true)
			continue
		}
		if err == nil && len(left) == len(ids) {
			err = secretsManager().Foreign()
		}
		if err != nil {
			for _, id := range left {
				b.set(id, nebula.Record{}, err)
			}
			return
		}
		ids = left
	}
}

// read makes one call, and returns the secrets that the answer leaves out. Servers
// like moto may answer with a version that is not current. That does not count: the
// secret is read by itself.
func (b *batch) read(ctx context.Context, ids []string) (left []string, err error) {
	out, err := b.d.client().BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: ids})
	if err != nil {
		return ids, err
	}
	said := make(map[string]bool, len(ids))
	var others []string
	for _, v := range out.SecretValues {
		if v.Name == nil || !slices.Contains(ids, *v.Name) {
			continue
		}
		said[*v.Name] = true
		if len(v.VersionStages) > 0 && !slices.Contains(v.VersionStages, stageCurrent) {
			others = append(others, *v.Name)
			continue
		}
		r, err := record(b.nameOf(*v.Name), v.SecretString, v.VersionId)
		b.set(*v.Name, r, err)
	}
	for _, e := range out.Errors {
		if e.SecretId == nil || !slices.Contains(ids, *e.SecretId) {
			continue
		}
		said[*e.SecretId] = true
		b.set(*e.SecretId, nebula.Record{}, b.itemError(ctx, *e.SecretId, e))
	}
	b.readEach(ctx, others)
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return said[id] }), nil
}

// readEach makes a call for each secret.
func (b *batch) readEach(ctx context.Context, ids []string) {
	results := make([]nebula.BatchResult, len(ids))
	var group errgroup.Group
	group.SetLimit(batchesAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			results[i].Record, results[i].Err = b.d.Retrieve(ctx, b.nameOf(id))
			return nil
		})
	}
	_ = group.Wait() // failures are in the results
	for i, id := range ids {
		b.set(id, results[i].Record, results[i].Err)
	}
}

func (b *batch) nameOf(id string) nebula.Name { return b.names[b.places[id][0]] }

// itemError returns the error of one secret, in the form of GetSecretValue's.
func (b *batch) itemError(ctx context.Context, id string, e types.APIErrorType) error {
	said := &smithy.GenericAPIError{}
	if e.ErrorCode != nil {
		said.Code = *e.ErrorCode
	}
	if e.Message != nil {
		said.Message = *e.Message
	}
	err := &smithy.OperationError{ServiceID: secretsmanager.ServiceID, OperationName: "GetSecretValue", Err: said}
	return b.d.ofDeleted(ctx, b.nameOf(id), err, new(refusals))
}

func (b *batch) set(id string, r nebula.Record, err error) {
	if err == nil && r.Envelope == nil {
		err = provider.NotARecord()
	}
	for _, place := range b.places[id] {
		b.results[place] = nebula.BatchResult{Record: r, Err: err}
	}
}
