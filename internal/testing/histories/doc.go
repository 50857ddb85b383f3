// Package histories records what concurrent callers did to one credential, and
// checks that what they saw has an order: that the history is linearizable. Lost
// updates, stale reads, and writes that come back after they were overwritten have
// none.
//
//	h := histories.New()
//	for range 16 {
//		c := h.Provider(p, name)
//		wg.Go(func() { c.Store(ctx, envelope, nebula.StoreOptions{Precondition: …}) … })
//	}
//	wg.Wait()
//	h.Verify(t)
//
// A call that failed without saying whether it had its effect may have it, once, at
// any time from its beginning on, also after it returned, or never. What a caller
// learns from a refused precondition counts: it must have been wrong at a moment of
// the call.
//
// Each value must be written once only, so that a read tells which write it saw.
//
// Processes record into files of their own, see NewFile, and Read joins them. A
// call that a kill cut short is there without its end, which is the unclear failure
// it was.
package histories
