package main

import (
	"strings"
	"time"
)

// tables are the tables of the page. With these rounds, all of them take some 20 minutes
// on a machine with 2 cores that has nothing else to do.
var tables = []table{
	{name: "local", beside: "bare",
		runs: []run{
			bench("40x", "Retrieve", "RetrieveAgain", "RetrieveCached", "StoreNew", "StoreAgain", "StoreNew16", "StoreAgain16", "Exists", "ListIDs"),
			bench("20x", "ListByTagWarm"),
			bench("3x", "ListMemory"),
		},
		rows: []row{
			{"`Retrieve`", "read, check, decode, decrypt", "Retrieve", ratioUnit, atMost(1.6)},
			{"`RetrieveAgain`", "a file that was read before and has not changed", "RetrieveAgain", ratioUnit, goal{}},
			{"`RetrieveCached`", "from the [cache](configuration.md#cache), beside `RetrieveAgain`", "RetrieveCached", ratioUnit, goal{}},
			{"`StoreNew`", "one writer, durable", "StoreNew", ratioUnit, atMost(1.1)},
			{"`StoreAgain`", "one writer, durable", "StoreAgain", ratioUnit, atMost(1.1)},
			{"`StoreNew16`", "16 writers at once, for each credential", "StoreNew16", ratioUnit, atMost(0.45)},
			{"`StoreAgain16`", "16 writers at once, for each credential", "StoreAgain16", ratioUnit, atMost(0.7)},
			{"`Exists`", "", "Exists", ratioUnit, atMost(1.5)},
			{"`ListIDs`", "all 10,000", "ListIDs", ratioUnit, atMost(1.3)},
			{"`ListByTagWarm`", "100,000, listed before", "ListByTagWarm", ratioUnit, atMost(2)},
			{"`ListMemory`", "peak memory of a program that lists 1,000,000 ids", "ListMemory", "peak-MiB", atMost(64)},
			{"`Retrieve`", "allocations", "Retrieve", "nebula-allocs", atMost(40)},
			{"`StoreAgain`", "allocations", "StoreAgain", "nebula-allocs", atMost(60)},
		}},
	{name: "peers", beside: "the other store", logarithmic: true,
		runs: []run{bench("40x", "PeerSQLite", "PeerBolt"), bench("10x", "PeerKeyring")},
		rows: []row{
			{"SQLite, retrieve", "", "PeerSQLite/retrieve", ratioUnit, goal{}},
			{"SQLite, store new", "", "PeerSQLite/store_new", ratioUnit, goal{}},
			{"SQLite, store again", "", "PeerSQLite/store_again", ratioUnit, goal{}},
			{"SQLite, exists", "", "PeerSQLite/exists", ratioUnit, goal{}},
			{"SQLite, list", "", "PeerSQLite/list", ratioUnit, goal{}},
			{"bbolt, retrieve", "", "PeerBolt/retrieve", ratioUnit, goal{}},
			{"bbolt, store new", "", "PeerBolt/store_new", ratioUnit, goal{}},
			{"bbolt, store again", "", "PeerBolt/store_again", ratioUnit, goal{}},
			{"bbolt, exists", "", "PeerBolt/exists", ratioUnit, goal{}},
			{"bbolt, list", "", "PeerBolt/list", ratioUnit, goal{}},
			{"keyring, retrieve", "", "PeerKeyring/retrieve", ratioUnit, goal{}},
			{"keyring, store new", "", "PeerKeyring/store_new", ratioUnit, goal{}},
			{"keyring, store again", "", "PeerKeyring/store_again", ratioUnit, goal{}},
			{"keyring, exists", "", "PeerKeyring/exists", ratioUnit, goal{}},
			{"keyring, list", "", "PeerKeyring/list", ratioUnit, goal{}},
		}},
	{name: "bulk", beside: "bare",
		runs: []run{
			bench("20x", "BatchNew", "BatchAgain", "BatchOf20"),
			bench("5x", "BatchBesideOthers"),
			bench("3x", "BulkPut", "BulkCopy", "BulkImport", "BulkMigrate", "BulkRotate"),
		},
		rows: []row{
			{"`BatchNew`", "`StoreBatch` of 1,000 sealed records", "BatchNew", ratioUnit, atMost(0.35)},
			{"`BatchAgain`", "the same, over others", "BatchAgain", ratioUnit, atMost(0.35)},
			{"`BatchOf20`", "of 20", "BatchOf20", ratioUnit, atMost(0.35)},
			{"`BulkPut`", "new credentials by as many goroutines as `Store.Jobs` says", "BulkPut", ratioUnit, atMost(0.35)},
			{"`BulkCopy`", "`copy` to another directory, each read back", "BulkCopy", ratioUnit, atMost(0.35)},
			{"`BulkImport`", "`import` of a sealed export", "BulkImport", ratioUnit, atMost(0.35)},
			{"`BulkMigrate`", "`migrate` of version 1 records", "BulkMigrate", ratioUnit, atMost(0.35)},
			{"`BulkRotate`", "`key rotate`, two passes", "BulkRotate", ratioUnit, atMost(0.35)},
			{"`BatchBesideOthers`", "1,000 after 128 MiB of another file, beside a flush of that file", "BatchBesideOthers", ratioUnit, goal{}},
		}},
	{name: "service", beside: "a bare handler",
		runs: []run{
			bench("20x", "ServiceGet"),
			bench("10x", "ServiceMemory"),
			bench("1s", "TokenCheck", "AuditLine"),
		},
		rows: []row{
			{"`ServiceGet`", "client of `net/http`", "ServiceGet/client=net-http/sync=false", ratioUnit, atMost(1.5)},
			{"`ServiceGet`, CPU", "of client and server", "ServiceGet/client=net-http/sync=false", cpuUnit, goal{}},
			{"`ServiceGet`, light client", "", "ServiceGet/client=light/sync=false", ratioUnit, goal{}},
			{"`ServiceGet`, audit flushed", "client of `net/http`", "ServiceGet/client=net-http/sync=true", ratioUnit, goal{}},
			{"`ServiceMemory`", "peak of `nebula serve`, 256 connections, 128,000 requests", "ServiceMemory", "peak-MiB", atMost(64)},
			{"`TokenCheck`", "a token of a file with 10,000", "TokenCheck/tokens=10000/good", "ns/op", goal{}},
			{"`TokenCheck`", "a wrong one", "TokenCheck/tokens=10000/wrong", "ns/op", goal{}},
			{"`AuditLine`", "", "AuditLine/sync=false/one", "ns/op", goal{}},
			{"`AuditLine`", "flushed, 16 writers at once", "AuditLine/sync=true/sixteen", "ns/op", goal{}},
		}},
	{name: "shell",
		runs: []run{{module: ".", pkg: "./provider", benchmarks: []string{"Shell"}, time: "1s"}},
		rows: []row{
			{"nobody observes", "", "Shell/bare", "ns/op", goal{}},
			{"with metrics", "", "Shell/metrics", "ns/op", goal{}},
			{"nobody observes", "allocations", "Shell/bare", "allocs/op", goal{}},
			{"with metrics", "allocations", "Shell/metrics", "allocs/op", goal{}},
		}},
	{name: "command", beside: "what it is beside",
		runs: []run{bench("60x", "CommandGet", "CommandPut", "CommandGetByAgent", "CommandGetByAWSKMS", "CommandGetByAzureKey",
			"CommandGetByTransit", "CommandRunFiles", "CommandRunAWS")},
		extras: []extra{{"peak memory", "peak-MiB"}, {"calls", "calls/op"}},
		rows: []row{
			{"`get`", "beside an empty program", "CommandGet", ratioUnit, atMost(5)},
			{"`get`", "peak memory", "CommandGet", "peak-MiB", atMost(24)},
			{"`nebula`", "size of the program", "CommandGet", "size-MB", atMost(25)},
			{"`put`", "durable, beside `get` and a bare durable write", "CommandPut", ratioUnit, atMost(1.1)},
			{"`get` by the agent", "beside `get`", "CommandGetByAgent", ratioUnit, atMost(1.2)},
			{"`get` by AWS KMS", "beside `get`; on our own server, without TLS", "CommandGetByAWSKMS", ratioUnit, goal{}},
			{"`get` by an Azure key", "beside `get`; on our own server, with login and TLS", "CommandGetByAzureKey", ratioUnit, goal{}},
			{"`get` by Vault's transit", "beside `get`; on a real server", "CommandGetByTransit", ratioUnit, goal{}},
			{"`run` with 1 of files", "beside `get`", "CommandRunFiles/1", ratioUnit, atMost(1.2)},
			{"`run` with 20 of files", "beside `get` of one", "CommandRunFiles/20", ratioUnit, atMost(1.2)},
			{"`run` with 20 of AWS", "beside a program that reads one with the SDK", "CommandRunAWS", ratioUnit, atMostAnd(1.3, 10*time.Millisecond)},
		}},
	{name: "programs", what: "the program", beside: "an empty one",
		runs:   []run{bench("60x", "ProgramNebula", "ProgramAge", "ProgramSops", "ProgramPass")},
		extras: []extra{{"peak memory", "peak-MiB"}},
		rows: []row{
			{"`nebula get`", "local, a key file", "ProgramNebula", ratioUnit, atMost(5)},
			{"`age -d`", "with an identity file", "ProgramAge", ratioUnit, goal{}},
			{"`sops decrypt`", "one key of a file, by age", "ProgramSops", ratioUnit, goal{}},
			{"`pass show`", "with gpg's agent running", "ProgramPass", ratioUnit, goal{}},
		}},
	{name: "many", beside: "one after the other",
		runs: []run{bench("2x", "CommandMany")},
		rows: []row{
			{"`tag --all`", "", "CommandMany", "tag-times", atLeast(6)},
			{"`delete`", "", "CommandMany", "delete-times", atLeast(6)},
			{"`restore`", "", "CommandMany", "restore-times", atLeast(6)},
			{"`purge`", "", "CommandMany", "purge-times", atLeast(6)},
		}},
	{name: "copies", beside: "8 writers with Vault's client",
		runs: []run{
			{module: "bench", pkg: "./backends", benchmarks: []string{"CopyToVault"}, time: "6x"},
			bench("1x", "CopyMemory"),
		},
		rows: []row{
			{"`CopyToVault`", "1,000 from files, planned, on condition, read back", "CopyToVault", ratioUnit, atMost(1.3)},
			{"`CopyMemory`", "peak memory of the command that copies 100,000 between directories", "CopyMemory", "peak-MiB", atMost(64)},
		}},
	{name: "backup", what: "export", inMemory: true,
		runs:   []run{bench("1x", "Backup")},
		extras: []extra{{"import", "import-MiB"}, {"file", "file-MiB"}, {"both, for each credential", "µs/credential"}},
		rows: []row{
			{"1,000 credentials", "", "Backup/1000", "export-MiB", goal{}},
			{"100,000 credentials", "", "Backup/100000", "export-MiB", goal{}},
		}},
	{name: "vault", beside: "client",
		runs: backend("Vault"),
		rows: calls("Vault", "retrieve", "store again", "exists", "list of 100 names")},
	{name: "kubernetes", beside: "client-go",
		runs: backend("Kubernetes"),
		rows: calls("Kubernetes", "retrieve", "store", "exists")},
	{name: "aws", beside: "SDK",
		runs: backend("AWS"),
		rows: calls("AWS", "retrieve", "exists", "store again", "list of 100")},
	{name: "azure", beside: "azsecrets",
		runs: backend("Azure"),
		rows: calls("Azure", "retrieve", "store again")},
}

// bench returns a run of benchmarks of the module's first package.
func bench(time string, benchmarks ...string) run {
	return run{module: "bench", pkg: ".", benchmarks: benchmarks, time: time}
}

func backend(name string) []run {
	return []run{{module: "bench", pkg: "./backends", benchmarks: []string{name}, time: "300x"}}
}

// calls returns the rows of a backend: time and CPU of each operation.
func calls(backend string, operations ...string) (rows []row) {
	limit := atMostAnd(1.05, 50*time.Microsecond)
	for _, o := range operations {
		benchmark := backend + "/" + strings.ReplaceAll(o, " ", "_")
		rows = append(rows, row{o, "", benchmark, ratioUnit, limit}, row{o + ", CPU", "", benchmark, cpuUnit, limit})
	}
	return rows
}
