package nebula_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/nebula-credential/nebula"
)

// canary is a secret that must not be shown anywhere, in none of the forms in which a
// printer might show it.
const canary = "canary-7f3a91"

func canaryForms() []string {
	return []string{
		canary,
		fmt.Sprintf("%x", canary),
		fmt.Sprintf("%X", canary),
		strings.Trim(fmt.Sprint([]byte(canary)), "[]"),
		strings.Trim(strings.ReplaceAll(fmt.Sprintf("%#v", []byte(canary)), "[]byte{", ""), "}"),
		"Y2FuYXJ5LTdmM2E5MQ", // base64
	}
}

func TestSecretShowsNowhere(t *testing.T) {
	type holder struct {
		Public nebula.Secret
		hidden nebula.Secret
		ptr    *nebula.Secret
	}
	s := nebula.NewSecret([]byte(canary))
	h := holder{s, s, &s}
	values := map[string]any{
		"secret": s, "pointer": &s, "struct": h, "struct pointer": &h,
		"slice": []nebula.Secret{s}, "map": map[string]nebula.Secret{"k": s},
		"credential": nebula.Credential{ID: "x", Secret: s},
		"any":        []any{s, &s, h},
	}
	for what, v := range values {
		shown := make(map[string]string)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%p", "%t", "%e", "%T", "%!", "%10.3s", "% x", "%#x"} {
			shown[verb] = fmt.Sprintf(verb, v)
		}
		shown["Sprint"] = fmt.Sprint(v)
		shown["Errorf"] = fmt.Errorf("failed: %v", v).Error()
		shown["json"] = encode(func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(v) })
		shown["gob"] = encode(func(b *bytes.Buffer) error { return gob.NewEncoder(b).Encode(v) })
		shown["xml"] = encode(func(b *bytes.Buffer) error { return xml.NewEncoder(b).Encode(v) })
		shown["log"] = encode(func(b *bytes.Buffer) error { log.New(b, "", 0).Print(v); return nil })
		shown["slog text"] = encode(func(b *bytes.Buffer) error {
			slog.New(slog.NewTextHandler(b, nil)).Info("m", "v", v)
			return nil
		})
		shown["slog json"] = encode(func(b *bytes.Buffer) error {
			slog.New(slog.NewJSONHandler(b, nil)).Info("m", "v", v)
			return nil
		})
		shown["template"] = encode(func(b *bytes.Buffer) error {
			return template.Must(template.New("").Parse("{{.}}")).Execute(b, v)
		})
		for how, text := range shown {
			for _, form := range canaryForms() {
				if strings.Contains(text, form) {
					t.Errorf("%s by %s shows the secret: %s", what, how, text)
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(verb, s); got != "[REDACTED]" {
			t.Errorf("%s shows %q", verb, got)
		}
	}
	if got, _ := json.Marshal(s); string(got) != `"[REDACTED]"` {
		t.Errorf("JSON shows %s", got)
	}
	if got, _ := s.MarshalYAML(); got != "[REDACTED]" {
		t.Errorf("YAML shows %v", got)
	}
}

// encode returns what f wrote and the text of its error, because both could leak.
func encode(f func(*bytes.Buffer) error) string {
	var b bytes.Buffer
	if err := f(&b); err != nil {
		b.WriteString(err.Error())
	}
	return b.String()
}

func TestSecretIsNotDecoded(t *testing.T) {
	var s nebula.Secret
	if json.Unmarshal([]byte(`"[REDACTED]"`), &s) == nil {
		t.Error("JSON gave a secret")
	}
	if s.UnmarshalText([]byte("x")) == nil || s.UnmarshalBinary([]byte("x")) == nil || s.UnmarshalYAML(nil) == nil {
		t.Error("text gave a secret")
	}
}

func TestSecretWipe(t *testing.T) {
	own := []byte(canary)
	s := nebula.NewSecret(own)
	copied, revealed := s, s.Reveal()
	if string(revealed) != canary || s.Len() != len(canary) {
		t.Fatalf("Reveal gave %q", revealed)
	}
	s.Wipe()
	if !bytes.Equal(revealed, make([]byte, len(canary))) {
		t.Error("the bytes are still there")
	}
	if copied.Len() != 0 || string(own) != canary {
		t.Error("a copy still holds the value, or the caller's slice was touched")
	}
	s.Wipe()
	var zero nebula.Secret
	zero.Wipe()
	if zero.Len() != 0 || zero.String() != "[REDACTED]" {
		t.Error("the zero secret is not empty")
	}
}

func TestSecretEqual(t *testing.T) {
	a, b := nebula.NewSecret([]byte("same")), nebula.NewSecret([]byte("same"))
	if !a.Equal(b) || a.Equal(nebula.NewSecret([]byte("other"))) || a.Equal(nebula.Secret{}) {
		t.Error("Equal is wrong")
	}
}
