package faultproxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// exchange is one request on its way.
type exchange struct {
	p     *Proxy
	w     http.ResponseWriter
	r     *http.Request
	body  []byte
	fault Fault
	event int // its place in the log
}

func (p *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		panic(http.ErrAbortHandler)
	}
	defer p.running.Done()
	if r.Method == http.MethodConnect && r.ProtoMajor == 1 && !p.options.TLS {
		p.connect(w, r)
		return
	}
	// Read the whole request before anything happens to it, so that "before" and
	// "after" mean something.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	x := &exchange{p: p, w: w, r: r, body: body, fault: p.rules.fault(r)}
	x.event = p.log.begin(r, x.fault.Kind)
	x.run()
}

func (x *exchange) run() {
	switch x.fault.Kind {
	case KindLatency:
		if !x.p.sleep(x.r.Context(), x.fault.Delay) {
			x.abort()
		}
		x.forward()
	case KindAnswer:
		x.answer()
	case KindAnswerAfter:
		x.ask()
		x.answer()
	case KindResetBefore:
		x.reset()
	case KindResetAfter:
		x.ask()
		x.reset()
	case KindCut:
		x.cut()
	case KindSilence:
		x.silence()
	case KindSilenceAfter:
		x.ask()
		x.silence()
	case KindLate:
		x.late()
	default:
		x.forward()
	}
}

// abort ends the request without an answer: with HTTP/1.1 the connection, with HTTP/2
// the stream.
func (x *exchange) abort() { panic(http.ErrAbortHandler) }

func (x *exchange) reset() {
	flowOf(x.r.Context()).reset()
	x.abort()
}

// silence holds the request as long as the client keeps the connection: a
// handler that returns would close it.
func (x *exchange) silence() {
	flowOf(x.r.Context()).dead.Store(true)
	select {
	case <-x.r.Context().Done():
	case <-x.p.stop.Done():
	}
	x.abort()
}

func (x *exchange) answer() {
	for key, values := range x.fault.Header {
		x.w.Header()[key] = values
	}
	x.w.WriteHeader(x.fault.Status)
	_, _ = io.WriteString(x.w, x.fault.Body)
}

// outgoing returns the request for the server. Its Host stays the client's.
func (x *exchange) outgoing(ctx context.Context) *http.Request {
	out := x.r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "https", x.r.Host
	if x.p.options.Target != "" {
		out.URL.Scheme = x.p.target.Scheme
	}
	for _, name := range hopByHop {
		out.Header.Del(name)
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // otherwise the transport adds its own
	}
	out.Body, out.ContentLength = http.NoBody, int64(len(x.body))
	if len(x.body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(x.body))
	}
	return out
}

// hopByHop are the headers that concern one connection: RFC 9110, section 7.6.1.
var hopByHop = []string{"Connection", "Proxy-Connection", "Proxy-Authorization", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// forward passes the request to the server and the answer to the client. If the
// server's connection breaks, so does the client's.
func (x *exchange) forward() {
	response, err := x.p.transport.RoundTrip(x.outgoing(x.r.Context()))
	if err != nil {
		x.p.log.failed(x.event, err)
		x.reset()
	}
	defer response.Body.Close()
	x.p.log.answered(x.event, response.StatusCode)
	x.header(response)
	if !x.copy(response.Body) {
		x.abort()
	}
}

func (x *exchange) header(response *http.Response) {
	for key, values := range response.Header {
		x.w.Header()[key] = values
	}
	for _, name := range hopByHop {
		x.w.Header().Del(name)
	}
	x.w.WriteHeader(response.StatusCode)
}

// copy passes on each part of a body as it arrives, as a watch needs.
func (x *exchange) copy(body io.Reader) bool {
	control := http.NewResponseController(x.w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 { // a 204 allows no body, not even an empty one
			if _, failed := x.w.Write(buffer[:n]); failed != nil {
				return false
			}
		}
		if err == io.EOF {
			return true
		}
		if err != nil || control.Flush() != nil {
			return false
		}
	}
}

// ask passes the request to the server and reads the answer, even if the client
// is gone.
func (x *exchange) ask() (response *http.Response, body []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), answering)
	defer cancel()
	defer context.AfterFunc(x.p.stop, cancel)()
	response, err := x.p.transport.RoundTrip(x.outgoing(ctx))
	if err != nil {
		x.p.log.failed(x.event, err)
		return nil, nil
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		x.p.log.failed(x.event, err)
		return nil, nil
	}
	x.p.log.answered(x.event, response.StatusCode)
	return response, body
}

func (x *exchange) cut() {
	response, body := x.ask()
	if len(body) == 0 {
		x.reset()
	}
	response.Header.Set("Content-Length", strconv.Itoa(len(body)))
	x.header(response)
	_, _ = x.w.Write(body[:len(body)/2])
	_ = http.NewResponseController(x.w).Flush()
	x.abort()
}

// sleep reports whether the time passed before the client left or the proxy closed.
func (p *Proxy) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-p.stop.Done():
	}
	return false
}
