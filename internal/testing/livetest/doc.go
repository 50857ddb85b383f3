// Package livetest gives the tests of the providers real servers.
//
// A server is shared by all tests of one test binary, or made for one test that
// stops and starts it. Both end with the test binary, however that ends.
//
// Of Azure Key Vault there is a server of our own, which runs in the process:
// see Azure. The others are built by the module in testservers/. A test whose
// server is not built is skipped and says how to build it. With
// NEBULA_REQUIRE_LIVE=1 the server is built, and a test that cannot have one
// fails.
//
// A test that needs one is named TestLive…: scripts/test live runs these, and
// fails when one of them was skipped.
package livetest
