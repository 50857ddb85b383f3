package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// arguments are those that kube-apiserver would be started with.
func arguments(f files) []string {
	return []string{
		"--etcd-servers=" + etcdSocket,
		"--bind-address=127.0.0.1",
		"--tls-cert-file=" + f.certificate(),
		"--tls-private-key-file=" + f.key(),
		"--client-ca-file=" + f.ca(),
		"--token-auth-file=" + f.tokens(),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + f.accountKey(),
		"--service-account-key-file=" + f.accountKey(),
		"--service-cluster-ip-range=10.0.0.0/24",
		// The service "kubernetes" has no endpoints: a loopback address is refused.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
	}
}

// serve runs kube-apiserver. It does what its command does, except that the
// listener is ours: a port that is free now may not be so later.
func serve(listener net.Listener, arguments []string) error {
	o := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range o.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	o.SecureServing.Listener = listener
	o.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	ctx := context.Background()
	completed, err := o.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return app.Run(ctx, completed)
}

// waitReady waits until the server says that it is ready, with the roles that
// it makes itself, and until it has made the namespace "default".
func waitReady(address, token, caFile string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	var last error
	for deadline := time.Now().Add(50 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		last = errors.Join(get(client, address+"/readyz", token), get(client, address+"/api/v1/namespaces/default", token))
		if last == nil {
			return nil
		}
	}
	return fmt.Errorf("not ready after 50 seconds: %w", last)
}

func get(client *http.Client, address, token string) error {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	return nil
}
