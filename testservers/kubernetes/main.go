// Command kubernetes is the real Kubernetes API server with the real etcd below
// it, in one process: kube-apiserver's and etcd's own packages, configured as a
// cluster has them, with RBAC. No controllers run, so a deleted namespace stays
// Terminating.
//
// It listens on the loopback interface and ends with its standard input, so
// that no server outlives the process that started it.
//
// Arguments after -- are further flags of kube-apiserver.
//
// When it is ready it prints one line of JSON: address, ca_file, admin_token,
// client_certificate_file and client_key_file of the same administrator, and
// kubeconfig, a file that names these.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"
)

// announcement is the line that says that the server is ready.
type announcement struct {
	Address               string `json:"address"`
	CAFile                string `json:"ca_file"`
	AdminToken            string `json:"admin_token"`
	ClientCertificateFile string `json:"client_certificate_file"`
	ClientKeyFile         string `json:"client_key_file"`
	Kubeconfig            string `json:"kubeconfig"`
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "loopback address to listen on")
	dir := flag.String("dir", "", "keep data and certificates in this directory, and go on with those that are there (default: a temporary one)")
	verbose := flag.Bool("verbose", false, "write the log of the API server to standard error, not its errors alone")
	flag.Parse()
	if !*verbose {
		klog.LogToStderr(false) // what is left on standard error are errors
		klog.SetOutput(io.Discard)
	}
	if err := run(*address, *dir, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		os.Exit(1)
	}
}

func run(address, dir string, flags []string) error {
	listener, err := listen(address)
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "nebula-kubernetes-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	files, err := prepare(dir)
	if err != nil {
		return err
	}
	// The socket of etcd has a relative name: a long one is not possible.
	if err := os.Chdir(files.dir); err != nil {
		return err
	}
	database, err := startEtcd("etcd")
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	failed := make(chan error, 2)
	go func() {
		failed <- fmt.Errorf("kube-apiserver ended: %v", serve(listener, append(arguments(files), flags...)))
	}()
	go func() {
		if err := announceWhenReady("https://"+listener.Addr().String(), files); err != nil {
			failed <- err
		}
	}()
	select {
	case err := <-failed:
		return err
	case err := <-database.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ended():
		// Connections are cut, as by a server that is turned off. What etcd
		// confirmed is in its log.
		return nil
	}
}

func announceWhenReady(address string, files files) error {
	token, err := files.token()
	if err != nil {
		return err
	}
	if err := files.writeKubeconfig(address); err != nil {
		return err
	}
	if err := waitReady(address, token, files.ca()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(announcement{
		Address: address, CAFile: files.ca(), AdminToken: token,
		ClientCertificateFile: files.adminCertificate(), ClientKeyFile: files.adminKey(),
		Kubeconfig: files.kubeconfig(),
	})
}

// listen refuses every interface but the loopback: the admin's token is printed.
func listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, errors.New("-listen is not a loopback address")
	}
	return net.Listen("tcp", address)
}

// ended is closed on a signal and at the end of standard input.
func ended() <-chan struct{} {
	done := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	input := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(input)
	}()
	go func() {
		select {
		case <-signals:
		case <-input:
		}
		close(done)
	}()
	return done
}
