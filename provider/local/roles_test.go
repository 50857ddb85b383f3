package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/providertest"
)

// play runs a role in the test binary as another process.
func play(role string) error {
	// If calls are made to fail, they are counted by thread.
	runtime.LockOSThread()
	become(os.Getenv)
	c := config(os.Getenv("NEBULA_TEST_DIR"))
	c.EnableLocking = os.Getenv("NEBULA_TEST_LOCKING") != "false"
	bare, err := local.New(c)
	if err != nil {
		return err
	}
	p := bare.(full)
	ctx := context.Background()
	switch role {
	case "check":
		tell(os.Stderr, p.Check(ctx))
		return nil
	case "create":
		return atomicfile.Create(filepath.Join(c.BasePath, "private"), []byte("text"))
	}
	if err := p.Connect(ctx); err != nil {
		return err
	}
	defer p.Close()
	switch role {
	case "store":
		_, err = p.Store(ctx, named("id"), sealed("id", "new", nil), nebula.StoreOptions{})
	case "batch":
		err = storeBatch(ctx, p)
	case "delete":
		var existed bool
		existed, err = p.Delete(ctx, named("id"), nebula.Precondition{})
		fmt.Println(existed)
	case "retrieve":
		_, err = p.Retrieve(ctx, named("id"))
	case "reads":
		err = readOnly(ctx, p)
	case "init":
		_, err = p.Store(ctx, nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	case "stores":
		err = storeForever(ctx, p)
	case "mix":
		err = mix(ctx, p)
	case "turns":
		err = takeTurns(ctx, p)
	default:
		err = fmt.Errorf("there is no role %q", role)
	}
	return err
}

// readOnly reads in every way, fails to write, and prints the errors.
func readOnly(ctx context.Context, p full) error {
	if _, err := p.Retrieve(ctx, named("id")); err != nil {
		return err
	}
	if found, err := p.Exists(ctx, named("id")); !found || err != nil {
		return fmt.Errorf("exists: %v, %w", found, err)
	}
	pager := p.List(ctx, nebula.Filter{})
	defer pager.Close()
	if page, err := pager.NextPage(ctx); len(page) != 1 || err != nil {
		return fmt.Errorf("list: %v, %w", page, err)
	}
	tell(os.Stdout, p.Check(ctx))
	_, err := p.Store(ctx, named("new"), sealed("new", "v", nil), nebula.StoreOptions{})
	fmt.Println(err)
	if !errors.Is(err, nebula.ErrPermissionDenied) {
		return fmt.Errorf("store: %w", err)
	}
	_, err = p.Delete(ctx, named("id"), nebula.Precondition{})
	fmt.Println(err)
	if !errors.Is(err, nebula.ErrPermissionDenied) {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

func tell(w io.Writer, findings []nebula.Finding) {
	for _, f := range findings {
		fmt.Fprintln(w, f.Severity, f.Check, f.Message, f.Fix)
	}
}

// storeForever writes until the process is killed, and prints each success.
func storeForever(ctx context.Context, p full) error {
	for i := 0; ; i++ {
		version, err := p.Store(ctx, named("id"), sealed("id", strconv.Itoa(i), nil), nebula.StoreOptions{})
		if err != nil {
			return err
		}
		fmt.Println(version)
	}
}

// storeBatch stores a batch of NEBULA_TEST_COUNT records, and prints those that are
// reported as stored.
func storeBatch(ctx context.Context, p full) error {
	count, err := strconv.Atoi(os.Getenv("NEBULA_TEST_COUNT"))
	if err != nil {
		return err
	}
	items := make([]nebula.BatchItem, count)
	for i, id := range batchIDs(count) {
		items[i] = nebula.BatchItem{Name: named(id), Envelope: sealed(id, "new", map[string]string{"state": "new"})}
	}
	outcomes, err := p.StoreBatch(ctx, items)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.Err == nil {
			fmt.Println(items[i].Name)
			continue
		}
		fmt.Fprintln(os.Stderr, o.Err)
	}
	return nil
}

// batchIDs are the ids of the role "batch".
func batchIDs(count int) []string {
	ids := make([]string, count)
	for i := range ids {
		ids[i] = fmt.Sprintf("batch%d", i)
	}
	return ids
}

// takeTurns stores on condition that nothing changed since it read, and prints the
// version before and the one after.
func takeTurns(ctx context.Context, p full) error {
	count, err := strconv.Atoi(os.Getenv("NEBULA_TEST_COUNT"))
	if err != nil {
		return err
	}
	for i := 0; i < count; {
		record, err := p.Retrieve(ctx, named("id"))
		if err != nil {
			return err
		}
		version, err := p.Store(ctx, named("id"), sealed("id", strconv.Itoa(i), nil),
			nebula.StoreOptions{Precondition: nebula.IfVersion(record.Version)})
		if errors.Is(err, nebula.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Println(record.Version, version)
		i++
	}
	return nil
}
