package service

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
)

// get answers a credential, as JSON with its metadata, or as the bytes of its value
// alone.
func (s *Service) get(c *call) (answer, error) {
	raw, err := wantsBytes(c.r.Header["Accept"])
	if err != nil {
		return answer{}, err
	}
	asked, err := c.conditions()
	if err != nil {
		return answer{}, err
	}
	credential, err := s.read(c)
	if err != nil {
		return answer{}, err
	}
	c.version = credential.Version
	status, err := asked.ofRead(credential.Version)
	if err != nil || status != 0 {
		credential.Secret.Wipe()
		return answer{status: status, etag: etagOf(credential.Version, raw)}, err
	}
	a := answer{status: http.StatusOK, etag: etagOf(credential.Version, raw), secret: true}
	if raw {
		// The value itself. It is wiped after it was sent.
		a.contentType, a.attachment, a.body = bytesType, true, credential.Secret.Reveal()
		return a, nil
	}
	defer credential.Secret.Wipe()
	a.contentType, a.body = jsonType, appendCredential(nil, credential)
	return a, nil
}

func (s *Service) read(c *call) (nebula.Credential, error) {
	if !c.query.Has("version") {
		return s.store.Get(c.ctx, c.id())
	}
	v := c.query.Get("version")
	if v == "" {
		return nebula.Credential{}, usage("the version is empty", "versions are at …/versions")
	}
	return s.store.GetVersion(c.ctx, c.id(), nebula.Version(v))
}

// exists answers HEAD without fetching the value, and so without an entity tag.
func (s *Service) exists(c *call) (answer, error) {
	if _, err := c.conditions(); err != nil {
		return answer{}, err
	}
	found, err := s.store.Exists(c.ctx, c.id())
	switch {
	case err != nil:
		return answer{}, err
	case !found:
		return answer{}, &nebula.Error{Kind: nebula.ErrNotFound, ID: c.id()}
	}
	return answer{status: http.StatusOK}, nil
}

// delete answers 204 even if there was no credential, since the client wanted
// it gone.
func (s *Service) delete(c *call) (answer, error) {
	if err := s.wantScope(c); err != nil {
		return answer{}, err
	}
	_, ifVersion, err := s.ofWrite(c)
	if err != nil {
		return answer{}, err
	}
	c.changed, c.version = true, ifVersion
	if _, err := s.store.Delete(c.ctx, c.id(), nebula.DeleteOptions{IfVersion: ifVersion}); err != nil {
		return answer{}, failedCondition(err, ifVersion)
	}
	return answer{status: http.StatusNoContent}, nil
}

// wantsBytes reads Accept. It reports whether the client wants the value alone and
// not JSON, which is the default.
func wantsBytes(accept []string) (bool, error) {
	switch strings.Join(accept, ",") { // as most say it
	case "", jsonType, "*/*":
		return false, nil
	case bytesType:
		return true, nil
	}
	asJSON, asBytes := preference(accept, jsonType), preference(accept, bytesType)
	if asJSON == 0 && asBytes == 0 {
		return false, &nebula.Error{Kind: errNotAcceptable, Message: "a credential is answered as " + jsonType + " or as " + bytesType}
	}
	return asBytes > asJSON, nil
}

// preference returns the quality that Accept gives to a media type: that of the most
// specific matching range.
func preference(accept []string, mediaType string) (quality float64) {
	closest := 0
	kind, _, _ := strings.Cut(mediaType, "/")
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		closeness := 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case mediaType:
			closeness = 3
		case kind + "/*":
			closeness = 2
		case "*/*":
			closeness = 1
		}
		if closeness > closest {
			closest, quality = closeness, qualityOf(parameters)
		}
	}
	return quality
}

func qualityOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(0 <= q && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
