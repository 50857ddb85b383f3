package awsapi

import (
	"errors"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/nebula-credential/nebula/internal/httpx"
)

// FuzzAnswer: an answer is an output, an error with a code, or cannot be read.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "{}", "null", `{"KeyId":"k","CiphertextBlob":"AAAA"}`, `{"__type":"com.amazonaws.kms#NotFoundException","message":"x"}`,
		`{"__type":"#"}`, `{"__type":"DisabledException:http://x"}`} {
		f.Add(200, []byte(s))
		f.Add(400, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var out struct {
			KeyID string `json:"KeyId"`
			Blob  []byte `json:"CiphertextBlob"`
		}
		answer := &httpx.Answer{Status: status, Body: body}
		err := read(answer, &out)
		var unread *smithy.DeserializationError
		var refused *smithy.GenericAPIError
		switch {
		case err == nil && !answer.OK():
			t.Fatalf("%d %q is taken for an output", status, body)
		case err != nil && !errors.As(err, &unread) && (!errors.As(err, &refused) || refused.Code == ""):
			t.Fatalf("%d %q: %v", status, body, err)
		}
	})
}
