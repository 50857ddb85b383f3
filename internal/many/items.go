package many

import "iter"

// Of returns the items of a slice.
func Of[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Groups returns items in groups of n, for work that is cheaper on several at
// once. The last group may be smaller. Each group is a slice of its own. Items
// before an error are passed on before it.
func Groups[T any](items iter.Seq2[T, error], n int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var group []T
		for item, err := range items {
			if err != nil {
				if len(group) == 0 || yield(group, nil) {
					yield(nil, err)
				}
				return
			}
			if group = append(group, item); len(group) >= n {
				if !yield(group, nil) {
					return
				}
				group = nil
			}
		}
		if len(group) > 0 {
			yield(group, nil)
		}
	}
}
