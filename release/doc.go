// Package release has the parts of a release besides the programs: the manual pages, the
// container image, the SBOMs and the licences. scripts/release puts all together.
//
// It is a module of its own, so that the product does not need these dependencies.
package release

// The manual pages are compiled with this module: see _man/main.go.
import _ "github.com/spf13/cobra/doc"
