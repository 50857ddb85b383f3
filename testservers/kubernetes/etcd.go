package main

import (
	"errors"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdSocket is in the current directory, which is the user's own: etcd asks
// nobody who he is.
const etcdSocket = "unix://etcd.sock"

// startEtcd starts a cluster of one on the data in dir, new or not.
func startEtcd(dir string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = dir
	config.LogLevel = "error"
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Host: "etcd.sock"}}
	// Without other members, nobody comes here.
	config.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: "peer.sock"}}
	// A process that dies loses nothing without it; a machine would.
	config.UnsafeNoFsync = true
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(30 * time.Second):
		return nil, errors.New("not ready after 30 seconds")
	}
}
