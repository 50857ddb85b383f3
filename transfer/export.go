package transfer

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// Output receives an export.
type Output interface {
	io.Writer

	// Reset drops what was written, because the export begins anew.
	Reset() error
}

// ExportOptions goes with [Export].
type ExportOptions struct {
	IDs    []nebula.ID   // what to export; none: what Filter finds
	Filter nebula.Filter // the zero value finds everything
	Jobs   int           // records that are read at once; 0 is many.DefaultJobs

	// Progress is called after each record, by one goroutine at a time. It starts
	// from 1 again if the export begins anew. It may be nil.
	Progress func(done, total int)

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// ExportReport says what was written.
type ExportReport struct {
	KeyID   nebula.KeyID
	Records int
	Bytes   int64

	// Unreadable has records whose form is damaged or of another version. If
	// [nebula.UnparsedRecord] returns the bytes of one, the export has it as it is.
	Unreadable []nebula.Entry
}

// maxRestarts limits how often an export begins anew because the data key was
// replaced meanwhile.
const maxRestarts = 3

// Export writes the keyring and the current records of a store, sealed as they
// are: see docs/format.md. It needs no key and decrypts nothing. Memory grows
// with the ids, not with the records.
//
// Errors: ErrNotFound for an id that is not there, or if there is no store; ErrConflict if the data
// key was replaced while the records were read, and in three more tries; ErrUntrustedKey of
// [nebula.Store.SealedKeyring]; those of reading, except for single records that are unreadable;
// those of the output, as they come. After an error the output is useless.
func Export(ctx context.Context, store *nebula.Store, out Output, options ExportOptions) (ExportReport, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	for restarts := 0; ; restarts++ {
		x := &exporting{store: store, options: options}
		err := x.run(ctx, out)
		if !errors.Is(err, errKeyReplaced) || restarts == maxRestarts {
			return x.report, err
		}
		if err := out.Reset(); err != nil {
			return x.report, err
		}
	}
}

var errKeyReplaced = &nebula.Error{Kind: nebula.ErrConflict, Op: "export",
	Message: "the data key was replaced again and again while the records were read",
	Hint:    "export when the rotation is over"}

type exporting struct {
	store   *nebula.Store
	options ExportOptions
	report  ExportReport
}

func (x *exporting) run(ctx context.Context, out io.Writer) error {
	keyring, id, err := x.store.SealedKeyring(ctx)
	if err != nil {
		return err
	}
	x.report.KeyID = id
	ids, err := x.ids(ctx)
	if err != nil {
		return err
	}
	counted := &counter{w: out}
	buffered := bufio.NewWriterSize(counted, 64<<10)
	w := newWriter(buffered)
	header := Header{Address: x.store.Describe().Address, KeyID: id, CreatedAt: x.options.Now().UTC().Truncate(time.Second)}
	if err := w.begin(header, keyring.Envelope.Bytes()); err != nil {
		return err
	}
	if err := x.records(ctx, w, ids); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	x.report.Records, x.report.Bytes = int(w.records), counted.n
	switch _, now, err := x.store.SealedKeyring(ctx); {
	case err != nil:
		return err
	case now != id:
		return errKeyReplaced
	}
	return nil
}

// ids returns the ids to export in the order of the file. If a record had to be
// read to match the filter and cannot be read, it is exported too, because it
// might match.
func (x *exporting) ids(ctx context.Context) ([]nebula.ID, error) {
	ids := slices.Clone(x.options.IDs)
	if len(ids) == 0 {
		for e, err := range x.store.List(ctx, nebula.ListOptions{Filter: x.options.Filter}) {
			if err != nil {
				return nil, err
			}
			if _, err := e.ID.Name(); err != nil { // a name of ours that nobody can tell
				x.unreadable(e.ID, cmp.Or(e.Err, err))
				continue
			}
			ids = append(ids, e.ID)
		}
	}
	slices.SortFunc(ids, func(a, b nebula.ID) int { return strings.Compare(string(a), string(b)) })
	return slices.Compact(ids), nil
}

func (x *exporting) unreadable(id nebula.ID, err error) {
	x.report.Unreadable = append(x.report.Unreadable, nebula.Entry{ID: id, Err: err})
}

// records writes the records of ids.
func (x *exporting) records(ctx context.Context, w *writer, ids []nebula.ID) error {
	size := groupSize(x.store.Describe().MaxRecordSize)
	options := many.Options{Jobs: max(2, cmp.Or(x.options.Jobs, many.DefaultJobs)/size), Ordered: true,
		Judge: func(error) many.About { return many.AboutRun }}
	done := 0
	var absent []nebula.ID
	for r, err := range many.Do(ctx, many.Groups(many.Of(ids), size), options, x.read) {
		if err = cmp.Or(err, r.Err); err != nil {
			return err
		}
		for i, result := range r.Value {
			id := r.Item[i]
			if errors.Is(result.Err, nebula.ErrNotFound) {
				absent = append(absent, id)
			} else if err := x.write(w, id, result); err != nil {
				return err
			}
			if done++; x.options.Progress != nil {
				x.options.Progress(done, len(ids))
			}
		}
	}
	if len(absent) > 0 && len(x.options.IDs) > 0 { // else they were deleted meanwhile
		return notThere("export", absent, "there")
	}
	return nil
}

// read reads a group. It fails for every error that does not concern one record
// alone, because an export with holes is not a backup.
func (x *exporting) read(ctx context.Context, ids []nebula.ID) ([]nebula.BatchResult, error) {
	results := x.store.GetSealedMany(ctx, ids)
	for _, r := range results {
		switch nebula.KindOf(r.Err) {
		case "", nebula.ErrNotFound, nebula.ErrCorrupted, nebula.ErrUnsupportedVersion, nebula.ErrTooLarge:
		default:
			return nil, r.Err
		}
	}
	return results, ctx.Err()
}

// write writes a record, or the unreadable bytes in its place.
func (x *exporting) write(w *writer, id nebula.ID, r nebula.BatchResult) error {
	if r.Err == nil {
		return w.record(id, r.Record.Envelope.Bytes())
	}
	x.unreadable(id, r.Err)
	if raw := nebula.UnparsedRecord(r.Err); raw != nil {
		return w.record(id, raw)
	}
	return nil
}

func notThere(op string, ids []nebula.ID, where string) error {
	const most = 10
	var b strings.Builder
	for i, id := range ids[:min(len(ids), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(id))
	}
	if more := len(ids) - most; more > 0 {
		fmt.Fprintf(&b, ", and %d more", more)
	}
	return &nebula.Error{Kind: nebula.ErrNotFound, Op: op, Message: "not " + where + ": " + b.String() + "; nothing was " + op + "ed"}
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
