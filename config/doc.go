// Package config turns a configuration file and the environment into an open
// store.
//
// The file is TOML; docs/configuration.md lists the keys. The first of these
// that has a setting wins: a NEBULA_… variable, the file, the provider's
// defaults, which include the variables that the backend's own tools read.
// [Load] reports all problems at once, in one error of kind
// [nebula.ErrInvalidConfig] with one line for each. It never guesses: unknown
// keys and variables are errors.
//
// [Config.Open] returns a store that is ready to use: its provider retries,
// limits the time of its calls and is observed as [OpenOptions] asks.
// [Providers] lists the providers that a configuration can name; a program can
// add its own with [Register].
package config
