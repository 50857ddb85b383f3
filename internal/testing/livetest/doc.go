// Package livetest gives real servers to the tests of the providers.
//
// All tests of a test binary share a server, or a test has one of its own that it can
// stop and start. Both end with the test binary, however that ends.
//
// The server for Azure Key Vault is our own, and runs in the test's process: see Azure.
// The module in testservers/ builds the others. If a server is not built, its tests are
// skipped and say how to build it. With NEBULA_REQUIRE_LIVE=1 the server is built, and
// a test that cannot have one fails.
//
// A test that needs such a server is named TestLive…. scripts/test live runs these
// tests, and fails if one of them was skipped.
package livetest
