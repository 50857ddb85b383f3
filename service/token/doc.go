// Package token keeps the tokens of a service in a file, which several processes
// may use at once.
//
// A token is nbt_ and 49 characters: see [Pattern]. It is random, and only its
// SHA-256 is kept, so nobody can use the content of the file. The file has a line
// for each token, sorted by name:
//
//	{"v":1,"name":"ci","sha256":"…","allow":["read"],"prefix":"ci_","created":"2026-11-28T10:00:00Z","expires":"2027-11-28T10:00:00Z"}
//
// Only its owner may have access to it. Otherwise, or if a line is damaged, no
// token is accepted, because anyone who can write the file decides who reads
// credentials.
package token
