package awsserver

import (
	"encoding/xml"
	"time"
)

// The answers of the query protocol, as the STS API reference shows them.

type assumeAnswer struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	Result  session  `xml:"AssumeRoleResult"`
	ID      string   `xml:"ResponseMetadata>RequestId"`
}

type webIdentityAnswer struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
	Result  struct {
		session
		Subject  string `xml:"SubjectFromWebIdentityToken"`
		Audience string
	} `xml:"AssumeRoleWithWebIdentityResult"`
	ID string `xml:"ResponseMetadata>RequestId"`
}

type session struct {
	User struct {
		ID  string `xml:"AssumedRoleId"`
		ARN string `xml:"Arn"`
	} `xml:"AssumedRoleUser"`
	Credentials keys
}

type identityAnswer struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	ARN     string   `xml:"GetCallerIdentityResult>Arn"`
	UserID  string   `xml:"GetCallerIdentityResult>UserId"`
	Account string   `xml:"GetCallerIdentityResult>Account"`
	ID      string   `xml:"ResponseMetadata>RequestId"`
}

type queryError struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type    string   `xml:"Error>Type"`
	Code    string   `xml:"Error>Code"`
	Message string   `xml:"Error>Message"`
	ID      string   `xml:"RequestId"`
}

func newQueryError(e *Error, requestID string) *queryError {
	out := &queryError{Type: "Sender", Code: e.Code, Message: e.Message, ID: requestID}
	if e.status() >= 500 {
		out.Type = "Receiver"
	}
	return out
}

// keys are temporary credentials.
type keys struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      string // RFC 3339
}

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

func newKeys(expires time.Time) keys {
	return keys{AccessKeyId: "ASIA" + random(16, base32), SecretAccessKey: random(40, alphanumeric),
		SessionToken: random(120, alphanumeric), Expiration: expires.UTC().Format(time.RFC3339)}
}
