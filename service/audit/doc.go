// Package audit keeps the log of who asked a service for what. It holds no value
// and no token, one JSON object a line. There are three kinds of lines:
//
//	{"time":"2026-11-28T10:00:00.000000Z","request":"…","token":"ci","verb":"read","method":"GET","id":"db","outcome":"ok","version":"3","address":"127.0.0.1:4711"}
//	{"time":"…","outcome":"unauthenticated","address":"192.0.2.7","since":"…","count":41}
//	{"time":"…","outcome":"audit_failed","lost":3}
//
// The first is of a request with a valid token, and stands in the log before the
// answer leaves. The outcome is ok or the kind of the error. Members that would be
// empty are left out.
//
// The second counts the requests without a valid token from one address since a
// time at most a minute ago; address is "others" for those beyond the first 1024
// addresses. The third says how many lines before it are missing or cut, since they
// could not be written: of requests that were then not served, or of writes whose
// answer said so.
//
// Each line is one write to the end of the file: it outlives the process, and
// several processes may write to one file. Whatever a line shows of a request, it
// stays one line of printable characters.
package audit
