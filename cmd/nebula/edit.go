package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/google/shlex"
	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/process"
)

type editOptions struct {
	id     nebula.ID
	create bool
	onDisk bool
}

func editCommand(run func(context.Context, editOptions) error) *cobra.Command {
	var o editOptions
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change a value in an editor",
		Long: `Change a value in the editor that VISUAL or EDITOR names. Meanwhile the text is
in a private directory in memory, which is removed afterwards with everything
that the editor left there. If there is no such directory, edit needs --on-disk.
edit tells vim and neovim to write no swap, backup or undo file, and nano to
ignore its configuration, which may ask for backups.

If the text stays the same, nothing is stored. If somebody else stored another
value meanwhile, edit ends with exit code 7 and says where your text is.`,
		Example: `  nebula edit app_config
  EDITOR='code --wait' nebula edit app_config --on-disk`,
		Annotations: map[string]string{slow: "always"},
		Args:        oneID,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.id, err = parseID(args[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.create, "create", false, "begin with an empty text if there is no such credential")
	cmd.Flags().BoolVar(&o.onDisk, "on-disk", false, "keep the text on a disk meanwhile, if it cannot be kept in memory")
	return cmd
}

func (a *app) edit(ctx context.Context, o editOptions) error {
	editor, err := a.editor()
	if err != nil {
		return err
	}
	parent, err := a.editDir(o)
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s *config.Opened) error {
		old, err := o.read(ctx, s)
		if err != nil {
			return err
		}
		defer old.Secret.Wipe()
		files, err := process.NewFiles(parent)
		if err != nil {
			return editFailed(o.id, err)
		}
		defer files.Remove()
		text, err := a.editText(files, editor, o.id, old.Secret.Reveal())
		if err != nil {
			return err
		}
		defer clear(text)
		return a.storeEdited(ctx, s, o, old, text, files)
	})
}

// read returns the credential, or an empty one without a version, to be
// created.
func (o editOptions) read(ctx context.Context, s *config.Opened) (nebula.Credential, error) {
	c, err := s.Get(ctx, o.id)
	switch {
	case errors.Is(err, nebula.ErrNotFound) && o.create && !errors.Is(err, nebula.ErrNotInitialised):
		return nebula.Credential{ID: o.id}, nil
	case errors.Is(err, nebula.ErrNotFound) && !errors.Is(err, nebula.ErrNotInitialised):
		return c, &nebula.Error{Kind: nebula.ErrNotFound, Op: "edit", ID: o.id, Message: "there is no such credential", Hint: "to make it: --create", Err: err}
	case err != nil:
		return c, err
	case !utf8.Valid(c.Secret.Reveal()):
		c.Secret.Wipe()
		return c, &nebula.Error{Kind: nebula.ErrUsage, Op: "edit", ID: o.id, Message: "the value is not UTF-8 text, and an editor would change it"}
	}
	return c, nil
}

// editDir returns the directory in which to make a private directory for the text.
func (a *app) editDir(o editOptions) (string, error) {
	if dir := process.MemoryDir(a.getenv); dir != "" {
		return dir, nil
	}
	if !o.onDisk {
		return "", usage("there is no place in memory for the text: neither XDG_RUNTIME_DIR nor /dev/shm is one", "to have it on a disk meanwhile: --on-disk")
	}
	return os.TempDir(), nil
}

// editor returns the words of the editor's command.
func (a *app) editor() ([]string, error) {
	name, text := "VISUAL", a.getenv("VISUAL")
	if text == "" {
		name, text = "EDITOR", a.getenv("EDITOR")
	}
	if text == "" && runtime.GOOS == "windows" {
		text = "notepad"
	} else if text == "" {
		text = "vi"
	}
	words, err := shlex.Split(text)
	if err != nil || len(words) == 0 || !utf8.ValidString(text) { // shlex would start another program
		return nil, usage(name+" is no command: words in it are UTF-8, separated by blanks, and quoted as for a shell", "")
	}
	path, err := lookUp(words[0])
	if err != nil {
		return nil, err
	}
	return append(append([]string{path}, words[1:]...), quiet(path)...), nil
}

// quiet returns the flags with which vim, neovim and nano write no copies of the
// text. The editor's configuration would decide where such copies are. nano can
// only be told not to read its configuration.
func quiet(path string) []string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	switch name {
	case "vim", "nvim", "gvim":
		return []string{"-n", "-i", "NONE", "-c", "silent! set nobackup nowritebackup noundofile"}
	case "nano":
		return []string{"--ignorercfiles"}
	}
	return nil
}

// editText lets the editor change the text, and returns the new text.
func (a *app) editText(files *process.Files, editor []string, id nebula.ID, old []byte) ([]byte, error) {
	path, err := files.Add(string(id), old)
	if err != nil {
		return nil, editFailed(id, err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer a.pause()()
	cmd := exec.Command(editor[0], append(editor[1:len(editor):len(editor)], path)...)
	cmd.Env = append(process.ChildEnvironment(a.environ), "TMPDIR="+files.Dir())
	var ended errSilent
	if err := a.attend(cmd, signals); errors.As(err, &ended) {
		return nil, &nebula.Error{Kind: nebula.ErrInterrupted, Op: "edit", ID: id, Message: "the editor ended with " + ended.Error() + ", and nothing was stored"}
	} else if err != nil {
		return nil, err
	}
	text, err := readFile(path, maxValue)
	if err != nil {
		return nil, editFailed(id, err)
	}
	if !bytes.HasSuffix(old, []byte("\n")) { // the editor added it
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return text, nil
}

func editFailed(id nebula.ID, err error) error {
	return &nebula.Error{Kind: config.FileKind(err), Op: "edit", ID: id, Message: "the text cannot be kept for the editor: " + atomicfile.Reason(err), Err: err}
}

// storeEdited stores the text on condition that nobody has changed the
// credential since it was read. If it fails, it keeps the text.
func (a *app) storeEdited(ctx context.Context, s *config.Opened, o editOptions, old nebula.Credential, text []byte, files *process.Files) error {
	switch {
	case bytes.Equal(text, old.Secret.Reveal()):
		a.done(string(o.id) + " is as it was")
		return nil
	case len(text) == 0:
		return &nebula.Error{Kind: nebula.ErrUsage, Op: "edit", ID: o.id, Message: "the text is empty, and nothing was stored", Hint: "to store an empty value: nebula put --allow-empty"}
	case !utf8.Valid(text):
		return a.keep(files, &nebula.Error{Kind: nebula.ErrUsage, Op: "edit", ID: o.id, Message: "the text is not UTF-8 any more, and was not stored"})
	}
	// An interrupt at the terminal was meant for the editor.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := newDeadline(ctx, a.global.limit)
	defer work.stop()
	options := nebula.PutOptions{IfVersion: old.Version, IfAbsent: old.Version == ""}
	secret := nebula.NewSecret(text)
	defer secret.Wipe()
	v, err := s.Put(work, o.id, secret, options)
	if err != nil {
		return a.keep(files, err)
	}
	a.done("stored " + string(o.id))
	return a.printVersion(o.id, v)
}

// keep lets the text be found again after a failure.
func (a *app) keep(files *process.Files, failure error) error {
	dir, err := files.Keep()
	if err != nil {
		a.warn("the text could not be kept: " + err.Error())
		return failure
	}
	told := &nebula.Error{Kind: nebula.KindOf(failure), Op: "edit", Message: failure.Error(), Err: failure}
	var e *nebula.Error
	if errors.As(failure, &e) {
		*told = *e
		told.Err = failure
	}
	told.Hint = strings.TrimPrefix(fmt.Sprintf("%s\nyour text is kept, and to be removed by you, in: %s", told.Hint, dir), "\n")
	return told
}
