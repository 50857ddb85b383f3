// Package audit keeps the log of who asked a service for what. It holds no value
// and no token. Each line is a JSON object. There are three kinds of lines:
//
//	{"time":"2026-11-28T10:00:00.000000Z","request":"…","token":"ci","verb":"read","method":"GET","id":"db","outcome":"ok","version":"3","address":"127.0.0.1:4711"}
//	{"time":"…","outcome":"unauthenticated","address":"192.0.2.7","since":"…","count":41}
//	{"time":"…","outcome":"audit_failed","lost":3}
//
// The first is for a request with a valid token, and is in the log before the
// answer leaves. The outcome is ok or the kind of the error. Empty members are
// left out.
//
// The second counts the requests without a valid token from one address since a
// time at most a minute ago. For those beyond the first 1,024 addresses, address is
// "others". The third says how many lines before it are missing or cut because they
// could not be written. Their requests were then not served, or were writes whose
// answer said so.
//
// Each line is one write to the end of the file. So it outlives the process, and
// several processes may write to one file. Whatever a request contains, its line
// is one line of printable characters.
package audit
