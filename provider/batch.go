package provider

import (
	"context"
	"fmt"

	"github.com/nebula-credential/nebula"
)

// RetrieveBatch implements [nebula.BatchRetriever]. Names whose results are
// [Transient] failures are asked for again, as the policy says, the others once.
func (s *shell) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	driver, ok := s.driver.(nebula.BatchRetriever)
	if !ok {
		return nil, s.lacks(OpRetrieveBatch, nebula.Name{})
	}
	b := s.newBatch(driver, names)
	_, err := do(ctx, s, Call{Op: OpRetrieveBatch}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.ask(ctx)
	})
	if err != nil && !b.answered {
		return nil, err
	}
	return b.results, nil
}

// batch is a read of several names that may take several attempts.
type batch struct {
	shell    *shell
	driver   nebula.BatchRetriever
	names    []nebula.Name
	results  []nebula.BatchResult
	open     []int // places of the names to be asked for
	answered bool  // whether the driver has given results
}

func (s *shell) newBatch(driver nebula.BatchRetriever, names []nebula.Name) *batch {
	b := &batch{shell: s, driver: driver, names: names, results: make([]nebula.BatchResult, len(names))}
	for i, name := range names {
		if (name == nebula.Name{}) {
			b.set(i, nebula.BatchResult{Err: errNoName()})
			continue
		}
		b.open = append(b.open, i)
	}
	return b
}

// ask asks the driver for the open names. It returns the first failure after which
// it should be called again.
func (b *batch) ask(ctx context.Context) (again error) {
	asked := make([]nebula.Name, len(b.open))
	for i, place := range b.open {
		asked[i] = b.names[place]
	}
	answers, err := b.driver.RetrieveBatch(ctx, asked)
	if err != nil {
		return err
	}
	if len(answers) != len(asked) {
		return &nebula.Error{Kind: nebula.ErrInternal, Message: fmt.Sprintf("the driver gave %d results for %d names", len(answers), len(asked))}
	}
	b.answered = true
	var open []int
	for i, answer := range answers {
		place := b.open[i]
		b.set(place, answer)
		if failed := b.results[place].Err; failed != nil && Transient(failed) {
			open = append(open, place)
		}
	}
	b.open = open
	if len(open) > 0 {
		return b.results[open[0]].Err
	}
	return nil
}

func (b *batch) set(place int, result nebula.BatchResult) {
	result.Err = b.shell.fail(Call{Op: OpRetrieveBatch, Name: b.names[place]}, result.Err)
	b.results[place] = result
}
