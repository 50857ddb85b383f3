package many_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nebula-credential/nebula/internal/many"
)

// inBubble runs a test in a bubble. It fails if a goroutine is left at its end, and its
// time passes when all goroutines wait.
func inBubble(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

var (
	errDown    = errors.New("down")
	errRefused = errors.New("refused")
	errBroken  = errors.New("broken")
)

func judge(err error) many.About {
	switch {
	case errors.Is(err, errDown):
		return many.AboutBackend
	case errors.Is(err, errBroken):
		return many.AboutRun
	}
	return many.AboutItem
}

func upTo(n int) []int {
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	return items
}

// all reads the run to its end, and returns the results and the reason if it ended
// early.
func all[T, R any](run iter.Seq2[many.Result[T, R], error]) (results []many.Result[T, R], stopped error) {
	for r, err := range run {
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	return results, nil
}

// As many items run at once as are allowed, never more. If there are fewer items, all
// run at once.
func TestAtOnce(t *testing.T) {
	for _, c := range []struct{ items, jobs, want int }{{100, 3, 3}, {100, 0, many.DefaultJobs}, {2, 8, 2}, {5, 1, 1}} {
		inBubble(t, fmt.Sprint(c), func(t *testing.T) {
			var mu sync.Mutex
			under, most := 0, 0
			add := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				under += n
				most = max(most, under)
			}
			begun := time.Now()
			results, err := all(many.Do(t.Context(), many.Of(upTo(c.items)), many.Options{Jobs: c.jobs},
				func(_ context.Context, i int) (int, error) {
					add(1)
					defer add(-1)
					time.Sleep(time.Second)
					return i * i, nil
				}))
			if err != nil || len(results) != c.items || most != c.want {
				t.Errorf("%d results, %d at once, %v", len(results), most, err)
			}
			rounds := (c.items + c.want - 1) / c.want
			if took := time.Since(begun); took != time.Duration(rounds)*time.Second {
				t.Errorf("it took %v", took)
			}
			for _, r := range results {
				if r.Value != r.Item*r.Item || r.Index != r.Item {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// Results come when they are ready, or in the order of the items.
func TestOrder(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		inBubble(t, fmt.Sprint(ordered), func(t *testing.T) {
			results, err := all(many.Do(t.Context(), many.Of(upTo(40)), many.Options{Jobs: 4, Ordered: ordered},
				func(_ context.Context, i int) (int, error) {
					if i%4 == 0 {
						time.Sleep(10 * time.Millisecond)
					}
					time.Sleep(time.Millisecond)
					return i, nil
				}))
			if err != nil || len(results) != 40 {
				t.Fatalf("%d results, %v", len(results), err)
			}
			inOrder := slices.IsSortedFunc(results, func(a, b many.Result[int, int]) int { return a.Index - b.Index })
			if inOrder != ordered {
				t.Errorf("in order: %v", inOrder)
			}
		})
	}
}

// A slow loop holds up the work, so that nothing piles up.
func TestSlowLoop(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		const jobs = 4
		var begun atomic.Int32
		delivered := 0
		work := func(context.Context, int) (int, error) { return int(begun.Add(1)), nil }
		for _, err := range many.Do(t.Context(), many.Of(upTo(100)), many.Options{Jobs: jobs}, work) {
			synctest.Wait() // everything that can go on without this loop has
			if delivered++; err != nil || int(begun.Load()) > delivered+jobs {
				t.Fatalf("%d begun, %d delivered, %v", begun.Load(), delivered, err)
			}
		}
		if delivered != 100 {
			t.Errorf("%d delivered", delivered)
		}
	})
}

// If a backend keeps failing, the run ends after as many failures in a row as run at
// once. Occasional failures do not end it, nor do failures of the items.
func TestSteadyFailure(t *testing.T) {
	const jobs = 8
	for name, c := range map[string]struct {
		fail     func(i int) error
		results  int // 0 if the number is not exact
		stopping error
	}{
		"all":             {func(int) error { return errDown }, 0, errDown},
		"from the tenth":  {func(i int) error { return onlyIf(i >= 10, errDown) }, 0, errDown},
		"every second":    {func(i int) error { return onlyIf(i%2 == 0, errDown) }, 1000, nil},
		"with other ones": {func(i int) error { return [...]error{errDown, errRefused}[i%2] }, 1000, nil},
		"refused":         {func(int) error { return errRefused }, 1000, nil},
	} {
		inBubble(t, name, func(t *testing.T) {
			results, err := all(many.Do(t.Context(), many.Of(upTo(1000)), many.Options{Jobs: jobs, Judge: judge},
				func(_ context.Context, i int) (int, error) {
					time.Sleep(time.Duration(i) * time.Millisecond) // each ends after the one before
					return i, c.fail(i)
				}))
			if err != c.stopping || c.results > 0 && len(results) != c.results {
				t.Errorf("%d results, %v", len(results), err)
			}
			if failed := count(results, errDown); c.stopping != nil && (failed < jobs || failed >= 2*jobs) {
				t.Errorf("%d failed", failed)
			}
		})
	}
}

func onlyIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}

func count[T, R any](results []many.Result[T, R], err error) (n int) {
	for _, r := range results {
		if r.Err == err {
			n++
		}
	}
	return n
}

// A failure of the whole run ends it. What is under way is finished and delivered.
func TestFailureOfTheRun(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		results, err := all(many.Do(t.Context(), many.Of(upTo(100)), many.Options{Jobs: 4, Judge: judge},
			func(ctx context.Context, i int) (int, error) {
				time.Sleep(time.Second)
				if i == 5 {
					return 0, errBroken
				}
				time.Sleep(time.Millisecond)
				return i, ctx.Err()
			}))
		if err != errBroken || len(results) != 8 || count(results, nil) != 7 {
			t.Errorf("%+v, %v", results, err)
		}
	})
}

// If the source fails, the run ends after what is under way.
func TestItemsFail(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		items := func(yield func(int, error) bool) { _ = yield(1, nil) && yield(2, nil) && yield(0, errBroken) }
		results, err := all(many.Do(t.Context(), items, many.Options{}, func(ctx context.Context, i int) (int, error) {
			time.Sleep(time.Second)
			return i, ctx.Err()
		}))
		if err != errBroken || len(results) != 2 || count(results, nil) != 2 {
			t.Errorf("%+v, %v", results, err)
		}
	})
}

// The end does not wait for a source that waits for its next item.
func TestItemsAreCancelled(t *testing.T) {
	for name, work := range map[string]func(context.Context, int) (int, error){
		"failure": func(context.Context, int) (int, error) { return 0, errBroken },
		"left":    func(context.Context, int) (int, error) { return 0, nil },
	} {
		inBubble(t, name, func(t *testing.T) {
			listing, cancel := context.WithCancel(t.Context())
			defer cancel()
			items := func(yield func(int, error) bool) {
				yield(0, nil)
				<-listing.Done()
				yield(0, listing.Err())
			}
			for r, err := range many.Do(t.Context(), items, many.Options{Judge: judge, Cancel: cancel}, work) {
				if name == "left" {
					return
				}
				if err != nil && err != errBroken || err == nil && r.Err != errBroken {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
}

// A signal lets what is under way finish, if the caller wants that, and nothing more
// begins. A deadline ends everything.
func TestEndOfTheContext(t *testing.T) {
	const jobs = 4
	for name, c := range map[string]struct {
		finish  bool
		end     func(context.Context) (context.Context, context.CancelFunc)
		done    int // of those that are under way
		stopped error
	}{
		"signal":             {true, cancelled, jobs, context.Canceled},
		"cancelled":          {false, cancelled, 0, context.Canceled},
		"time":               {true, timed, 0, context.DeadlineExceeded},
		"time, not finished": {false, timed, 0, context.DeadlineExceeded},
	} {
		inBubble(t, name, func(t *testing.T) {
			ctx, cancel := c.end(t.Context())
			defer cancel()
			results, err := all(many.Do(ctx, many.Of(upTo(100)), many.Options{Jobs: jobs, Finish: c.finish, Judge: judge},
				func(ctx context.Context, i int) (int, error) {
					child, cancel := context.WithCancel(ctx)
					defer cancel()
					select {
					case <-time.After(time.Minute):
						return i, nil
					case <-child.Done():
						return 0, errors.Join(child.Err(), errBroken) // says nothing about the whole run
					}
				}))
			if err != c.stopped || len(results) != jobs || count(results, nil) != c.done {
				t.Errorf("%+v, %v", results, err)
			}
			for _, r := range results {
				if r.Err != nil && !errors.Is(r.Err, c.stopped) {
					t.Errorf("%v", r.Err)
				}
			}
		})
	}
}

func cancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(time.Second, cancel)
	return ctx, cancel
}

func timed(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Second)
}

// If the context ends when all items have begun, and they may finish, the run has not
// ended early.
func TestEndedAtTheEnd(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		ctx, cancel := cancelled(t.Context())
		defer cancel()
		results, err := all(many.Do(ctx, many.Of(upTo(4)), many.Options{Jobs: 4, Finish: true}, func(ctx context.Context, i int) (int, error) {
			time.Sleep(time.Minute)
			return i, ctx.Err()
		}))
		if err != nil || len(results) != 4 || count(results, nil) != 4 {
			t.Errorf("%+v, %v", results, err)
		}
	})
}

// A loop that breaks off leaves nothing behind: work under way is cancelled or finished
// before the loop ends.
func TestLoopThatIsLeft(t *testing.T) {
	for _, o := range []many.Options{{}, {Ordered: true}, {Finish: true}} {
		inBubble(t, fmt.Sprintf("%+v", o), func(t *testing.T) {
			var under atomic.Int32
			begun := time.Now()
			for r, err := range many.Do(t.Context(), many.Of(upTo(100)), o, func(ctx context.Context, i int) (int, error) {
				under.Add(1)
				defer under.Add(-1)
				took := time.Minute
				if i == 0 {
					took = time.Second // the others have begun by then
				}
				select {
				case <-ctx.Done():
				case <-time.After(took):
				}
				return i, nil
			}) {
				if r.Index != 0 || err != nil {
					t.Errorf("%+v, %v", r, err)
				}
				break
			}
			if left, waited := under.Load(), time.Since(begun) > time.Second; left != 0 || waited != o.Finish {
				t.Errorf("%d are under way, after %v", left, time.Since(begun))
			}
		})
	}
}

func TestGroups(t *testing.T) {
	for _, c := range []struct {
		items iter.Seq2[int, error]
		want  string
	}{
		{many.Of(upTo(0)), "[]"},
		{many.Of(upTo(3)), "[[0 1 2]]"},
		{many.Of(upTo(7)), "[[0 1 2] [3 4 5] [6]]"},
		{func(yield func(int, error) bool) { _ = yield(1, nil) && yield(0, errBroken) }, "[[1]] broken"},
		{func(yield func(int, error) bool) { yield(0, errBroken) }, "[] broken"},
	} {
		synctest.Test(t, func(t *testing.T) {
			results, err := all(many.Do(t.Context(), many.Groups(c.items, 3), many.Options{Ordered: true},
				func(_ context.Context, group []int) (int, error) { return len(group), nil }))
			groups := [][]int{}
			for _, r := range results {
				groups = append(groups, r.Item)
			}
			got := fmt.Sprint(groups)
			if err != nil {
				got += " " + err.Error()
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
