// Package testreaders compares how Nebula writes and reads dotenv with the programs and
// libraries that read such files. It has only tests. It is a module of its own, so that
// the product does not depend on any of them.
package testreaders
