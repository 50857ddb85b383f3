package awsapi

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

// Service is a service of AWS.
type Service struct {
	Name     string // in messages: "Secrets Manager"
	ID       string // of the SDK, in files: "Secrets Manager"
	Code     string // in host names, and as requests are signed: "secretsmanager"
	Variable string // that names its endpoint: "AWS_ENDPOINT_URL_SECRETS_MANAGER"
	Target   string // that names of operations follow in [Login.Call]: "secretsmanager"

	Host string // that is asked, for messages; "" before that is known
}

// At returns the service with its host, for messages.
func (s Service) At(host string) Service {
	s.Host = host
	return s
}

func (s Service) host() string { return cmp.Or(s.Host, s.Name) }

// ParseEndpoint refuses an endpoint that the configuration would refuse: it may
// come from a variable or a profile.
func (s Service) ParseEndpoint(address string) (*url.URL, error) {
	u, err := httpx.ParseAddress(address)
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the endpoint for " + s.Name + " " + err.Error(),
			Hint: "look at endpoint_url, " + s.Variable + ", AWS_ENDPOINT_URL and the profile"}
	}
	return u, nil
}

// Endpoint returns the endpoint of a service in a region: address, else the one
// that the variables and files of AWS's tools name, else the region's own. It is
// for services that are called without the SDK, and decides as the SDK does.
func (l *Login) Endpoint(ctx context.Context, s Service, region, address string) (*url.URL, error) {
	if address == "" {
		address = l.configured(ctx, s)
	}
	if address == "" {
		address = l.regional(ctx, s, region)
	}
	return s.ParseEndpoint(address)
}

// configured returns the endpoint that the variables or the profile name.
func (l *Login) configured(ctx context.Context, s Service) string {
	general, hasGeneral := os.LookupEnv("AWS_ENDPOINT_URL")
	if _, hasOwn := os.LookupEnv(s.Variable); hasGeneral && !hasOwn && general != "" {
		return aws.ToString(l.SDK.BaseEndpoint)
	}
	type ignorer interface {
		GetIgnoreConfiguredEndpoints(context.Context) (bool, bool, error)
	}
	type namer interface {
		GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
	}
	ignored, _ := ask(l, func(source ignorer) (bool, bool, error) { return source.GetIgnoreConfiguredEndpoints(ctx) })
	own, found := ask(l, func(source namer) (string, bool, error) { return source.GetServiceBaseEndpoint(ctx, s.ID) })
	if found && !ignored {
		return own
	}
	return aws.ToString(l.SDK.BaseEndpoint)
}

// regional returns the region's own endpoint.
func (l *Login) regional(ctx context.Context, s Service, region string) string {
	type dual interface {
		GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error)
	}
	type fips interface {
		GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error)
	}
	host, domain := s.Code, partitionOf(region).domains[0]
	if state, _ := ask(l, func(source dual) (aws.DualStackEndpointState, bool, error) {
		return source.GetUseDualStackEndpoint(ctx)
	}); state == aws.DualStackEndpointStateEnabled {
		domain = partitionOf(region).domains[1]
	}
	if state, _ := ask(l, func(source fips) (aws.FIPSEndpointState, bool, error) { return source.GetUseFIPSEndpoint(ctx) }); state == aws.FIPSEndpointStateEnabled {
		host += "-fips"
	}
	return "https://" + host + "." + region + "." + domain
}

// ask returns the value from the first source of the SDK's settings that knows
// it.
func ask[S, V any](l *Login, what func(S) (V, bool, error)) (value V, found bool) {
	for _, source := range l.SDK.ConfigSources {
		if s, ok := source.(S); ok {
			if value, found, err := what(s); err == nil && found {
				return value, true
			}
		}
	}
	return value, false
}

// The forms of settings. They are compiled when they are asked for: most
// processes that know this package use another one.
const (
	regionForm = `^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`
	keyForm    = `^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)|alias/[A-Za-z0-9/_-]+|` +
		`mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`
)

// IsRegion reports whether text has the form of a region's code.
func IsRegion(text string) bool { return regexp.MustCompile(regionForm).MatchString(text) }

// IsKMSKey reports whether text names a key of KMS: by the ARN of a key or an
// alias, by alias/NAME, or by a key's id.
func IsKMSKey(text string) bool { return regexp.MustCompile(keyForm).MatchString(text) }
