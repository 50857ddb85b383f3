// Package faultproxy injects network faults between the client and the server of a
// test.
//
// Proxy understands HTTP. For each request, its rules say whether it answers instead of
// the server, or loses the request or the answer. Tunnel carries bytes that it does not
// understand.
//
//	p := faultproxy.Start(t, faultproxy.Options{Target: server.URL, TLS: true})
//	p.Add(faultproxy.Rule{Method: "PUT", Times: 1, Fault: faultproxy.ResetAfter()})
//	p.Add(faultproxy.Rule{Probability: 0.1, Fault: faultproxy.Answer(429, "1")})
//	… a client that uses p.URL() and trusts p.CA() …
//	p.Wants(t, faultproxy.KindResetAfter, 1)
//
// If clients find a server by the name of its host, such as azureserver, the proxy
// needs a way to dial it. The clients use the proxy as an HTTP proxy, and trust its CA:
//
//	faultproxy.Options{Dial: server.DialContext, TargetTLS: &tls.Config{RootCAs: server.CAPool()}}
//
// If the operation is in a header, as with AWS, a rule can match the header:
//
//	faultproxy.Rule{Match: func(r *http.Request) bool {
//		return r.Header.Get("X-Amz-Target") == "secretsmanager.PutSecretValue"
//	}, …}
//
// With TLS, clients may speak HTTP/2. If a connection is lost, it is lost for all its
// requests, as on a real network.
//
// All randomness comes from a seed, which the test's log shows. The variable
// NEBULA_FAULT_SEED sets it. The seed decides what happens to the n-th request that a
// rule with a probability matches. If several clients run at once, they decide which
// request is the n-th.
package faultproxy
