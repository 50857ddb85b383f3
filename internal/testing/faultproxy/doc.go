// Package faultproxy injects network faults between a client and a server of a
// test.
//
// Proxy understands HTTP: for each request, its rules say whether it answers
// instead of the server, or loses the request or the answer. Tunnel carries bytes
// that it does not understand.
//
//	p := faultproxy.Start(t, faultproxy.Options{Target: server.URL, TLS: true})
//	p.Add(faultproxy.Rule{Method: "PUT", Times: 1, Fault: faultproxy.ResetAfter()})
//	p.Add(faultproxy.Rule{Probability: 0.1, Fault: faultproxy.Answer(429, "1")})
//	… a client that uses p.URL() and trusts p.CA() …
//	p.Wants(t, faultproxy.KindResetAfter, 1)
//
// For a server that clients find by the name of its host, such as azureserver, the
// proxy needs a way to dial it; clients use the proxy as an HTTP proxy, and trust
// its CA:
//
//	faultproxy.Options{Dial: server.DialContext, TargetTLS: &tls.Config{RootCAs: server.CAPool()}}
//
// If the operation is in a header, as with AWS, a rule matches that:
//
//	faultproxy.Rule{Match: func(r *http.Request) bool {
//		return r.Header.Get("X-Amz-Target") == "secretsmanager.PutSecretValue"
//	}, …}
//
// With TLS, clients may speak HTTP/2. A lost connection is lost for all requests
// on it, as on a real network.
//
// All randomness comes from a seed, which the test's log shows. The variable
// NEBULA_FAULT_SEED sets it. The seed decides what happens to the n-th request
// that a rule with a probability matches. If several clients run at once, which
// request is the n-th depends on them.
package faultproxy
