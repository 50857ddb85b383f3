// Package release is what a release consists of besides the programs: the manual
// pages and the container image. scripts/release puts all together.
//
// The module is one of its own, so that nothing here gets into the product's.
package release

// The manual pages are compiled with this module: see _man/main.go.
import _ "github.com/spf13/cobra/doc"
