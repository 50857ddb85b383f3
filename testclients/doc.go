// Package testclients tests the service with clients of others: a browser, and clients in
// other languages. It has only tests. It is a module of its own, so that the product does
// not depend on any of them.
package testclients
