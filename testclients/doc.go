// Package testclients holds the service against what others use it with: a browser,
// and clients in other languages. It is tests only, in a module of its own, so that
// none of them comes near the product.
package testclients
