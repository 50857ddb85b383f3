package awsserver

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"net/http"
	"strings"
	"time"
)

// kmsKey is a key in one region. Keys of several regions may share material.
type kmsKey struct {
	arn      string
	state    string
	spec     string
	usage    string
	material *material
	made     time.Time
}

type material struct {
	id  [16]byte
	gcm cipher.AEAD
}

type alias struct{ region, name string }

// The states of keys, as DescribeKey names them.
const (
	KMSEnabled         = "Enabled"
	KMSDisabled        = "Disabled"
	KMSPendingDeletion = "PendingDeletion"
	KMSPendingImport   = "PendingImport"
)

// symmetricSpec is the spec, and the algorithm, of symmetric keys.
const symmetricSpec = "SYMMETRIC_DEFAULT"

func newMaterial() *material {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	m := &material{gcm: gcm}
	_, _ = rand.Read(m.id[:])
	return m
}

func (s *KMS) add(region, id, spec, usage string, m *material) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	arn := "arn:aws:kms:" + region + ":" + s.account + ":key/" + id
	s.keys[arn] = &kmsKey{arn: arn, state: KMSEnabled, spec: spec, usage: usage, material: m, made: time.Now()}
	return arn
}

// CreateKey makes a symmetric key for encryption, and returns its ARN.
func (s *KMS) CreateKey(region string) string {
	return s.add(region, uuid(), symmetricSpec, "ENCRYPT_DECRYPT", newMaterial())
}

// CreateRSAKey makes a key that is not symmetric: for encryption, or for signing.
func (s *KMS) CreateRSAKey(region string, signs bool) string {
	usage := "ENCRYPT_DECRYPT"
	if signs {
		usage = "SIGN_VERIFY"
	}
	return s.add(region, uuid(), "RSA_2048", usage, newMaterial())
}

// CreateMultiRegionKey makes keys in several regions with one id and one material, and
// returns their ARNs.
func (s *KMS) CreateMultiRegionKey(regions ...string) (arns []string) {
	id, m := "mrk-"+strings.ReplaceAll(uuid(), "-", ""), newMaterial()
	for _, region := range regions {
		arns = append(arns, s.add(region, id, symmetricSpec, "ENCRYPT_DECRYPT", m))
	}
	return arns
}

// Encrypt returns the ciphertext that a client gets when it encrypts for a slot.
func (s *KMS) Encrypt(arn string, plaintext []byte, slotID string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[arn].seal(kmsInput{Plaintext: plaintext, Context: map[string]string{"nebula:slot": slotID}})
}

// SetAlias makes or moves an alias in a region. Its name begins with alias/.
func (s *KMS) SetAlias(region, name, arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[alias{region, name}] = arn
}

// SetState changes the state of a key.
func (s *KMS) SetState(arn, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[arn].state = state
}

// Remove removes a key, like the end of its pending deletion.
func (s *KMS) Remove(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, arn)
}

// find returns the key that a client names in a region.
func (s *KMS) find(region, name string) (*kmsKey, *Error) {
	missing := func(message string) (*kmsKey, *Error) { return nil, fail("NotFoundException", message) }
	here := "arn:aws:kms:" + region + ":" + s.account + ":"
	rest, isARN := strings.CutPrefix(name, here)
	if !isARN && strings.HasPrefix(name, "arn:") {
		return missing("Invalid arn " + region)
	}
	if strings.HasPrefix(rest, "alias/") {
		if key := s.keys[s.aliases[alias{region, rest}]]; key != nil {
			return key, nil
		}
		return missing("Alias " + here + rest + " is not found.")
	}
	arn := here + "key/" + strings.TrimPrefix(rest, "key/")
	if key := s.keys[arn]; key != nil {
		return key, nil
	}
	return missing("Key '" + arn + "' does not exist")
}

// usable returns the refusal if the key cannot do what a client asks for.
func (k *kmsKey) usable(algorithm string) *Error {
	if algorithm == "" {
		algorithm = symmetricSpec
	}
	switch {
	case k.usage != "ENCRYPT_DECRYPT":
		return fail("InvalidKeyUsageException", k.arn+" key usage is "+k.usage+" which is not valid for this operation.")
	case (k.spec == symmetricSpec) != (algorithm == symmetricSpec):
		return fail("InvalidKeyUsageException", "Algorithm "+algorithm+" is incompatible with key spec "+k.spec+".")
	case k.state == KMSDisabled:
		return fail("DisabledException", k.arn+" is disabled.")
	case k.state == KMSPendingDeletion:
		return fail("KMSInvalidStateException", k.arn+" is pending deletion.")
	case k.state != KMSEnabled:
		return fail("KMSInvalidStateException", k.arn+" is pending import.")
	}
	return nil
}

func dryRun(in kmsInput) *Error {
	if !in.DryRun {
		return nil
	}
	return fail("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
}

func (k *kmsKey) encrypt(in kmsInput) (any, *Error) {
	if n := len(in.Plaintext); n == 0 || n > 4096 {
		return nil, validation("1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and 4096")
	}
	if failure := k.usable(in.Algorithm); failure != nil {
		return nil, failure
	}
	if failure := dryRun(in); failure != nil {
		return nil, failure
	}
	return map[string]any{"KeyId": k.arn, "CiphertextBlob": k.seal(in), "EncryptionAlgorithm": symmetricSpec}, nil
}

func (k *kmsKey) seal(in kmsInput) []byte {
	return k.material.gcm.Seal(bytes.Clone(k.material.id[:]), nil, in.Plaintext, in.aad())
}

// decrypt refuses another key's ciphertext before it looks at the state of this key,
// and an altered ciphertext or context last.
func (k *kmsKey) decrypt(in kmsInput) (any, *Error) {
	if len(in.Blob) < len(k.material.id) {
		return nil, fail("InvalidCiphertextException", "")
	}
	id, sealed := in.Blob[:len(k.material.id)], in.Blob[len(k.material.id):]
	if !bytes.Equal(id, k.material.id[:]) {
		return nil, fail("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	if failure := k.usable(in.Algorithm); failure != nil {
		return nil, failure
	}
	plaintext, err := k.material.gcm.Open(nil, nil, sealed, in.aad())
	if err != nil {
		return nil, fail("InvalidCiphertextException", "")
	}
	if failure := dryRun(in); failure != nil {
		return nil, failure
	}
	return map[string]any{"KeyId": k.arn, "Plaintext": plaintext, "EncryptionAlgorithm": symmetricSpec}, nil
}

func (k *kmsKey) describe() any {
	parts := strings.Split(k.arn, ":")
	id := strings.TrimPrefix(parts[5], "key/")
	metadata := map[string]any{
		"AWSAccountId": parts[4], "Arn": k.arn, "KeyId": id, "KeyState": k.state, "Enabled": k.state == KMSEnabled,
		"KeyUsage": k.usage, "KeySpec": k.spec, "CustomerMasterKeySpec": k.spec, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS",
		"CreationDate": float64(k.made.Unix()), "MultiRegion": strings.HasPrefix(id, "mrk-"), "Description": "",
	}
	if k.state == KMSPendingDeletion {
		metadata["DeletionDate"] = float64(k.made.Add(30 * 24 * time.Hour).Unix())
	}
	return map[string]any{"KeyMetadata": metadata}
}

func operationOf(r *http.Request, prefix string) string {
	name, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), prefix)
	return name
}

// regionOf returns the region that a request is signed for.
func regionOf(r *http.Request) string {
	if parts := authorization.FindStringSubmatch(r.Header.Get("Authorization")); parts != nil {
		return parts[3]
	}
	return ""
}
