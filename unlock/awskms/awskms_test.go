package awskms_test

import (
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/unlock/awskms"
)

// Making a slot takes two calls and opening it takes one, by every name of the key.
func TestNewSlotAndSecret(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	s.SetAlias(region, "alias/team", arn)
	id := arn[strings.LastIndexByte(arn, '/')+1:]
	for _, name := range []string{arn, id, "alias/team", "arn:aws:kms:" + region + ":123456789012:alias/team"} {
		made := with(t, name)
		slot, secret := newSlot(t, made)
		wantCalls(t, s, "Encrypt", "Decrypt")
		if slot.ID != slotID || slot.Kind != nebula.SlotAWSKMS || slot.Salt != [16]byte{1} || len(secret) != 32 {
			t.Errorf("%s: the slot is %+v", name, slot)
		}
		if data, err := slotdata.ParseAWSKMS(slot.Data); err != nil || data.ARN != arn {
			t.Errorf("%s: the slot is for %q, %v", name, data.ARN, err)
		}
		opens(t, made, slot, secret)
		wantCalls(t, s)
		for _, other := range []string{arn, id, "alias/team"} {
			key := with(t, other)
			opens(t, key, slot, secret)
			requests := s.Requests()
			if len(requests) != 1 || requests[0].Key != other || requests[0].Region != region || requests[0].Context["nebula:slot"] != slotID || len(requests[0].Context) != 1 {
				t.Errorf("%s: the requests are %+v", other, requests)
			}
			opens(t, key, slot, secret)
			wantCalls(t, s, "Decrypt")
		}
	}
}

// KMS is not called for a slot whose key is not configured.
func TestSlotOfAnotherKey(t *testing.T) {
	s := newKMS(t)
	arn, other := s.CreateKey(region), s.CreateKey(region)
	slot, _ := newSlot(t, with(t, arn))
	calls(s)
	foreign := strings.Replace(arn, "123456789012", "210987654321", 1)
	for _, name := range []string{other, other[strings.LastIndexByte(other, '/')+1:], "arn:aws:kms:us-east-1:123456789012:alias/team", strings.Replace(foreign, "key/", "alias/", 1), foreign} {
		key := with(t, name)
		_, err := key.Secret(t.Context(), slot)
		wants(t, err, nebula.ErrWrongKey, arn, "not configured here")
		_, _, err = key.Renew(t.Context(), slot, [16]byte{2})
		wants(t, err, nebula.ErrNotSupported, arn, "not configured here")
	}
	wantCalls(t, s)
	both := with(t, other, "alias/unknown", arn)
	if _, err := both.Secret(t.Context(), slot); err != nil {
		t.Error(err)
	}
	wantCalls(t, s, "Decrypt")
}

// With an alias, KMS is called for two wrong slots in a row, and no more.
func TestAlias(t *testing.T) {
	s := newKMS(t)
	mine, first, second := s.CreateKey(region), s.CreateKey(region), s.CreateKey(region)
	s.SetAlias(region, "alias/team", mine)
	var slots []nebula.Slot
	var secrets [][]byte
	for _, arn := range []string{first, second, mine} {
		slot, secret := newSlot(t, with(t, arn))
		slots, secrets = append(slots, slot), append(secrets, secret)
	}
	calls(s)
	key := with(t, "alias/team")
	for i, slot := range slots {
		_, err := key.Secret(t.Context(), slot)
		wants(t, err, nebula.ErrWrongKey, "alias/team", `key = "`+[]string{first, second, mine}[i]+`" in [key.aws_kms]`)
	}
	wantCalls(t, s, "Decrypt", "Decrypt")
	key = with(t, "alias/team")
	if _, err := key.Secret(t.Context(), slots[0]); err == nil {
		t.Error("another key opened the slot")
	}
	opens(t, key, slots[2], secrets[2])
	wantCalls(t, s, "Decrypt", "Decrypt")
	// One slot was wrong, then one was right: the count begins again.
	for _, slot := range slots[:2] {
		if _, err := key.Secret(t.Context(), slot); err == nil {
			t.Error("another key opened the slot")
		}
	}
	wantCalls(t, s, "Decrypt", "Decrypt")
	opens(t, with(t, "alias/team", mine), slots[2], secrets[2])
	if got := s.Requests()[0].Key; got != mine {
		t.Errorf("KMS was called for the key %s", got)
	}
}

// If keys of two regions share their material, each opens the other's slots, in its own
// region.
func TestMultiRegionKeys(t *testing.T) {
	s := newKMS(t)
	arns := s.CreateMultiRegionKey("us-east-1", region)
	slot, secret := newSlot(t, with(t, arns[0]))
	s.SetAlias(region, "alias/team", arns[1])
	calls(s)
	for _, name := range []string{arns[1], "alias/team", arns[1][strings.LastIndexByte(arns[1], '/')+1:]} {
		key := with(t, name)
		opens(t, key, slot, secret)
		if r := s.Requests()[0]; r.Region != region || r.Key != name {
			t.Errorf("the request is %+v", r)
		}
		renewed, anew, err := key.Renew(t.Context(), slot, [16]byte{2})
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := slotdata.ParseAWSKMS(renewed.Data); data.ARN != arns[0] {
			t.Errorf("the slot is now for %s", data.ARN)
		}
		opens(t, with(t, arns[0]), renewed, anew)
		calls(s)
	}
}

// The content of a slot chooses neither region nor server.
func TestNoStoredByteIsFollowed(t *testing.T) {
	s := newKMS(t)
	slot, _ := newSlot(t, with(t, s.CreateKey(region)))
	data, _ := slotdata.ParseAWSKMS(slot.Data)
	data.ARN = "arn:aws:kms:us-west-2:123456789012:key/mrk-0123456789abcdef0123456789abcdef"
	slot.Data = data.Bytes()
	calls(s)
	key := with(t, "mrk-0123456789abcdef0123456789abcdef")
	_, err := key.Secret(t.Context(), slot)
	wants(t, err, nebula.ErrPermissionDenied, "there is no KMS key mrk-")
	for _, r := range s.Requests() {
		if r.Region != region || strings.Contains(r.Key, "us-west-2") {
			t.Errorf("the request is %+v", r)
		}
	}
}

// A slot that was changed counts as damaged, and the error names it.
func TestDamagedSlots(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	slot, secret := newSlot(t, with(t, arn))
	data, _ := slotdata.ParseAWSKMS(slot.Data)
	changed := func(change func(*slotdata.AWSKMS)) nebula.Slot {
		d := slotdata.AWSKMS{ARN: data.ARN, Blob: append([]byte(nil), data.Blob...)}
		change(&d)
		return nebula.Slot{ID: slotID, Kind: nebula.SlotAWSKMS, Data: d.Bytes()}
	}
	other := slot
	other.ID = "abcdefg2"
	for name, slot := range map[string]nebula.Slot{
		"a bit":           changed(func(d *slotdata.AWSKMS) { d.Blob[len(d.Blob)-1] ^= 1 }),
		"cut":             changed(func(d *slotdata.AWSKMS) { d.Blob = d.Blob[:8] }),
		"another slot's":  other,
		"no data":         {ID: slotID, Kind: nebula.SlotAWSKMS},
		"no ARN of a key": changed(func(d *slotdata.AWSKMS) { d.ARN = "alias/team" }),
		"another size":    changed(func(d *slotdata.AWSKMS) { d.Blob = s.Encrypt(arn, []byte("short"), slotID) }),
	} {
		_, err := with(t, arn).Secret(t.Context(), slot)
		wants(t, err, nebula.ErrCorrupted, slot.ID, "key add --aws-kms")
		if _, err := with(t, arn).Secret(t.Context(), slot); err == nil {
			t.Errorf("%s: the slot opened", name)
		}
	}
	opens(t, with(t, arn), slot, secret)
}

// Each refusal has a kind with which other keys are tried, and says what to do.
func TestRefusals(t *testing.T) {
	s := newKMS(t)
	arn := s.CreateKey(region)
	s.SetAlias(region, "alias/team", arn)
	slot, _ := newSlot(t, with(t, arn))
	for name, c := range map[string]struct {
		prepare func() (undo func())
		key     string
		kind    nebula.Kind
		says    []string
	}{
		"denied": {func() func() { return s.Inject(awsserver.Fault{Deny: true}) }, arn, nebula.ErrPermissionDenied,
			[]string{"kms:Decrypt on " + arn + " is not allowed", "disabled, pending deletion or another key", `"Action": ["kms:Decrypt"], "Resource": "` + arn + `"`}},
		"denied without a text": {func() func() { return s.Inject(awsserver.Fault{Error: awsserver.KMSDeniedSilently}) }, arn, nebula.ErrPermissionDenied,
			[]string{"kms:Decrypt on " + arn + " is not allowed", "disabled, pending deletion or another key"}},
		"denied by an alias": {func() func() { return s.Inject(awsserver.Fault{Deny: true}) }, "alias/team", nebula.ErrPermissionDenied,
			[]string{"kms:Decrypt on " + arn, `key = "` + arn + `" in [key.aws_kms]`}},
		"disabled":         {state(s, arn, awsserver.KMSDisabled), arn, nebula.ErrPermissionDenied, []string{arn + " is disabled", "aws kms enable-key --key-id " + arn}},
		"pending deletion": {state(s, arn, awsserver.KMSPendingDeletion), arn, nebula.ErrPermissionDenied, []string{"pending deletion", "aws kms cancel-key-deletion --key-id " + arn}},
		"no such alias":    {func() func() { return func() {} }, "alias/mistyped", nebula.ErrPermissionDenied, []string{"there is no KMS key alias/mistyped in " + region}},
		"throttled": {func() func() { return s.Inject(awsserver.Fault{Error: awsserver.Throttled}) }, arn, nebula.ErrUnavailable,
			[]string{"no more requests"}},
		"internal error":  {func() func() { return s.Inject(awsserver.Fault{Error: awsserver.KMSInternal}) }, arn, nebula.ErrUnavailable, []string{"KMSInternalException"}},
		"key unavailable": {func() func() { return s.Inject(awsserver.Fault{Error: awsserver.KMSKeyUnavailable}) }, arn, nebula.ErrUnavailable, []string{"KeyUnavailableException"}},
		"session over":    {func() func() { return s.Inject(awsserver.Fault{Error: awsserver.ExpiredToken}) }, arn, nebula.ErrUnauthenticated, []string{"expired"}},
		"cut off":         {func() func() { return s.Inject(awsserver.Fault{Cut: awsserver.CutBefore}) }, arn, nebula.ErrUnavailable, []string{"127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			undo := c.prepare()
			defer undo()
			_, err := withConfig(t, awskms.Config{Key: c.key, Region: region, Clock: hasty{}}).Secret(t.Context(), slot)
			wants(t, err, c.kind, c.says...)
		})
	}
}
