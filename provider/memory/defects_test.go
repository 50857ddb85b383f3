package memory_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/providertest"
)

// A suite that passes a broken provider is worth nothing. Each defect breaks one
// promise of the memory provider and names the rule that has to notice. The defects
// are here, not in the suite, because the harness needs the hooks of this package's
// tests.
type defect struct {
	rule   string
	config memory.Config // zero: small

	connect    func(full, context.Context) error
	store      storeFunc
	retrieve   func(full, context.Context, nebula.Name) (nebula.Record, error)
	remove     func(full, context.Context, nebula.Name, nebula.Precondition) (bool, error)
	exists     func(full, context.Context, nebula.Name) (bool, error)
	list       func(full, context.Context, nebula.Filter) nebula.Pager
	restore    func(full, context.Context, nebula.Name) error
	purge      func(full, context.Context, nebula.Name) (bool, error)
	history    func(full, context.Context, nebula.Name) ([]nebula.VersionInfo, error)
	batch      func(full, context.Context, []nebula.Name) ([]nebula.BatchResult, error)
	storeBatch storeBatchFunc
	notify     func(full, context.Context, []nebula.Name, func(...nebula.Name)) error
	identity   func(full, context.Context) (string, error)
	check      func(full, context.Context) []nebula.Finding
	rename     func(nebula.Name) nebula.Name
	describe   func(*nebula.Description)
}

type storeFunc func(full, context.Context, nebula.Name, *nebula.Envelope, nebula.StoreOptions) (nebula.Version, error)

// broken is a provider with a defect.
type broken struct {
	held
	defect
}

// held is a memory provider and its backend.
type held struct {
	full
	backend *memory.Backend
}

// full is a provider with every ability, as the memory provider is.
type full interface {
	nebula.Wrapper
	nebula.Connector
	nebula.Describer
	nebula.Restorer
	nebula.Purger
	nebula.Historian
	nebula.VersionRetriever
	nebula.BatchRetriever
	nebula.BatchStorer
	nebula.Notifier
	nebula.Identifier
	nebula.Checker
}

func (b *broken) name(n nebula.Name) nebula.Name {
	if b.rename == nil || n.IsKeyring() {
		return n
	}
	return b.rename(n)
}

func (b *broken) Connect(ctx context.Context) error {
	if b.connect != nil {
		return b.connect(b.full, ctx)
	}
	return b.full.Connect(ctx)
}

func (b *broken) Store(ctx context.Context, n nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	if b.store != nil {
		return b.store(b.full, ctx, n, e, o)
	}
	return b.full.Store(ctx, b.name(n), e, o)
}

func (b *broken) Retrieve(ctx context.Context, n nebula.Name) (nebula.Record, error) {
	if b.retrieve != nil {
		return b.retrieve(b.full, ctx, n)
	}
	return b.full.Retrieve(ctx, b.name(n))
}

func (b *broken) Delete(ctx context.Context, n nebula.Name, c nebula.Precondition) (bool, error) {
	if b.remove != nil {
		return b.remove(b.full, ctx, n, c)
	}
	return b.full.Delete(ctx, b.name(n), c)
}

func (b *broken) Exists(ctx context.Context, n nebula.Name) (bool, error) {
	if b.exists != nil {
		return b.exists(b.full, ctx, n)
	}
	return b.full.Exists(ctx, b.name(n))
}

func (b *broken) List(ctx context.Context, f nebula.Filter) nebula.Pager {
	if b.list != nil {
		return b.list(b.full, ctx, f)
	}
	return b.full.List(ctx, f)
}

func (b *broken) Restore(ctx context.Context, n nebula.Name) error {
	if b.restore != nil {
		return b.restore(b.full, ctx, n)
	}
	return b.full.Restore(ctx, n)
}

func (b *broken) Purge(ctx context.Context, n nebula.Name) (bool, error) {
	if b.purge != nil {
		return b.purge(b.full, ctx, n)
	}
	return b.full.Purge(ctx, n)
}

func (b *broken) History(ctx context.Context, n nebula.Name) ([]nebula.VersionInfo, error) {
	if b.history != nil {
		return b.history(b.full, ctx, n)
	}
	return b.full.History(ctx, n)
}

func (b *broken) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	if b.batch != nil {
		return b.batch(b.full, ctx, names)
	}
	return b.full.RetrieveBatch(ctx, names)
}

func (b *broken) Notify(ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
	if b.notify != nil {
		return b.notify(b.full, ctx, names, changed)
	}
	return b.full.Notify(ctx, names, changed)
}

func (b *broken) Identity(ctx context.Context) (string, error) {
	if b.identity != nil {
		return b.identity(b.full, ctx)
	}
	return b.full.Identity(ctx)
}

func (b *broken) Check(ctx context.Context) []nebula.Finding {
	if b.check != nil {
		return b.check(b.full, ctx)
	}
	return b.full.Check(ctx)
}

// brokenPager changes the pages of another pager.
type brokenPager struct {
	nebula.Pager
	next func(nebula.Pager, context.Context) ([]nebula.Entry, error)
}

func (p brokenPager) NextPage(ctx context.Context) ([]nebula.Entry, error) {
	return p.next(p.Pager, ctx)
}

// pages makes a defect of List from one of its pages.
func pages(change func([]nebula.Entry) []nebula.Entry) func(full, context.Context, nebula.Filter) nebula.Pager {
	return func(p full, ctx context.Context, f nebula.Filter) nebula.Pager {
		return brokenPager{p.List(ctx, f), func(inner nebula.Pager, ctx context.Context) ([]nebula.Entry, error) {
			entries, err := inner.NextPage(ctx)
			return change(entries), err
		}}
	}
}

const defectVariable = "NEBULA_TEST_DEFECT"

// TestDefectsAreFound runs the rule over each defect in its own process, which has to
// fail.
func TestDefectsAreFound(t *testing.T) {
	if os.Getenv(defectVariable) != "" {
		t.Skip("this is the process of a defect")
	}
	if output, err := runDefect("none", ".*"); err != nil {
		t.Fatalf("the provider without a defect fails as well: %v\n%s", err, output)
	}
	for name, d := range defects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output, err := runDefect(name, "^"+d.rule+"$")
			if err == nil || !strings.Contains(output, "--- FAIL: TestDefect/"+d.rule) {
				t.Errorf("%s did not notice: %v\n%s", d.rule, err, output)
			}
		})
	}
}

func runDefect(name, rules string) (output string, err error) {
	command := exec.Command(os.Args[0], "-test.run=^TestDefect$/"+rules, "-test.timeout=60s")
	command.Env = append(os.Environ(), defectVariable+"="+name)
	raw, err := command.CombinedOutput()
	return string(raw), err
}

// TestDefect is run by TestDefectsAreFound.
func TestDefect(t *testing.T) {
	name := os.Getenv(defectVariable)
	if name == "" {
		t.Skip("no defect was named")
	}
	d, ok := defects()[name]
	if !ok && name != "none" {
		t.Fatalf("there is no defect %q", name)
	}
	if d.config == (memory.Config{}) {
		d.config = small()
	}
	providertest.Run(t, variant(d))
}

// small is a configuration whose largest record is quick to make.
func small() memory.Config { return memory.Config{MaxVersions: 10, MaxRecordSize: 32 << 10} }

// Describe returns the description as the defect changes it.
func (b *broken) Describe() nebula.Description {
	d := b.full.Describe()
	if b.defect.describe != nil {
		b.defect.describe(&d)
	}
	return d
}

// variant is the harness for a memory provider that differs as d says.
func variant(d defect) providertest.Harness {
	h := harness()
	h.MaxRecordSize = small().MaxRecordSize
	h.New = func(t *testing.T, options ...provider.Option) nebula.Provider {
		return breakProvider(t, d, memory.NewBackend(), options...)
	}
	h.Reopen = func(t *testing.T, p nebula.Provider) nebula.Provider { return breakProvider(t, d, p.(*broken).backend) }
	h.Corrupt = func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
		memory.Corrupt(t, p.(*broken).backend, name, raw)
	}
	return h
}

func breakProvider(t *testing.T, d defect, b *memory.Backend, options ...provider.Option) *broken {
	return &broken{hold(t, d.config, b, options...), d}
}
