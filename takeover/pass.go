package takeover

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Pass reads a directory of pass, the password manager: the first line of each
// password, or with whole all of it. It opens one after the other, since the agent
// of GPG may ask for each key. progress is called after each. It may be nil.
func Pass(ctx context.Context, dir string, whole bool, p Programs, progress func(done, total int)) (Found, error) {
	var found Found
	dir, err := filepath.Abs(dir)
	if err != nil {
		return found, err
	}
	names, links, err := passNames(dir)
	if err != nil {
		return found, err
	}
	for _, name := range links {
		found.Secrets = append(found.Secrets, unread(name, errLink()))
	}
	more := 0
	for i, name := range names {
		text, err := p.run(ctx, "pass", []string{"show", "--", name}, "PASSWORD_STORE_DIR="+dir)
		switch {
		case ctx.Err() != nil:
			return found, ctx.Err()
		case errors.Is(err, nebula.ErrUsage): // there is no pass
			return found, err
		case err != nil:
			found.Secrets = append(found.Secrets, unread(name, err))
		default:
			first, rest, _ := bytes.Cut(text, []byte("\n"))
			if whole {
				first, rest = text, nil
			}
			if len(bytes.TrimSpace(rest)) > 0 {
				more++
			}
			found.Secrets = append(found.Secrets, Secret{Name: name, Value: bytes.Clone(first)})
			clear(text)
		}
		if progress != nil {
			progress(i+1, len(names))
		}
	}
	found.note(more, "%d have more than one line, and only the first is taken; --whole takes all lines")
	return found, nil
}

// passNames returns the names of the passwords in a directory, sorted. It
// returns links to directories separately, and does not follow them.
func passNames(dir string) (names, links []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir && strings.HasPrefix(entry.Name(), ".") { // .git, .gpg-id, .extensions
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		secret, encrypted := strings.CutSuffix(name, ".gpg")
		switch info, err := os.Stat(path); {
		case entry.Type()&fs.ModeSymlink != 0 && err == nil && info.IsDir():
			links = append(links, name)
		case encrypted && !entry.IsDir():
			names = append(names, secret)
		}
		return nil
	})
	if err == nil && len(names)+len(links) == 0 {
		err = &nebula.Error{Kind: nebula.ErrUsage, Op: "import", Message: dir + " holds no passwords of pass", Hint: "its directory is ~/.password-store, or what PASSWORD_STORE_DIR says"}
	} else if err != nil {
		err = sourceError(dir, err)
	}
	slices.Sort(names)
	return names, links, err
}

func errLink() error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Message: "it is a link to a directory, which is not followed", Hint: "give that directory as a source of its own"}
}
