// Package config turns a configuration file and the environment into an open
// store.
//
// The file is TOML; docs/quickstart.md shows one. A setting comes from, in this
// order, a NEBULA_… variable, the file, the provider's defaults (which know the
// variables that its own tools read). [Load] reports everything that is wrong
// at once, in one error of kind [nebula.ErrInvalidConfig] with a line for each
// problem, and never guesses: unknown keys and variables are errors.
//
// [Config.Open] returns a store that is ready: its provider retries, limits the
// time of its calls and is observed as [OpenOptions] asks. [Providers] lists what
// a configuration can name; a program can add its own: see [Register].
package config
