// Command image writes a container image of the command nebula for several
// architectures, as an archive in the OCI layout, without a daemon and without a
// network:
//
//	SOURCE_DATE_EPOCH=… image VERSION COMMIT ARCHIVE amd64=PROGRAM arm64=PROGRAM
//
// The image holds the program, the certificate authorities of Mozilla's list, a user
// without rights and their home, and nothing else.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: image VERSION COMMIT ARCHIVE ARCH=PROGRAM…")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func write(version, commit, archive string, programs []string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH must be the time of the commit: %w", err)
	}
	r := release{version: version, commit: commit, at: time.Unix(seconds, 0).UTC()}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range programs {
		arch, path, ok := strings.Cut(p, "=")
		if !ok {
			return fmt.Errorf("%q is not ARCH=PROGRAM", p)
		}
		image, err := r.image(arch, path)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return r.archive(index, archive)
}

// archive writes a layout with one entry, the index, which has the version as its name. So
// a tool imports the images of all architectures under one name.
func (r release) archive(index v1.ImageIndex, path string) error {
	dir, err := os.MkdirTemp("", "nebula-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	name := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version})
	if err := to.AppendIndex(index, name); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tarDir(f, dir); err != nil {
		return err
	}
	return f.Close()
}

// tarDir writes the content of a directory, in the order of the names.
func tarDir(w io.Writer, dir string) error {
	var files []file
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			files = append(files, file{name: name + "/", mode: 0o755})
			return nil
		}
		content, err := os.ReadFile(path)
		files = append(files, file{name: name, mode: 0o644, content: content})
		return err
	})
	if err != nil {
		return err
	}
	return writeTar(w, files)
}
