// Package histories records the calls of concurrent callers on one credential, and
// checks that the history is linearizable: some order of the calls explains all
// results. No order explains lost updates, stale reads, or writes that come back
// after they were overwritten.
//
//	h := histories.New()
//	for range 16 {
//		c := h.Provider(p, name)
//		wg.Go(func() { c.Store(ctx, envelope, nebula.StoreOptions{Precondition: …}) … })
//	}
//	wg.Wait()
//	h.Verify(t)
//
// A call with an unclear failure may take effect once, at any time after its beginning,
// also after it returned, or never. A refused precondition counts as a result: it must
// have been false at some moment of the call.
//
// Each value must be written only once, so that a read shows which write it saw.
//
// Several processes record into one file each, see NewFile, and Read joins the files.
// If a process was killed during a call, the call has no end in the file and counts as
// unclear.
package histories
