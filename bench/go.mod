module github.com/nebula-credential/nebula/bench

go 1.26.5

require github.com/nebula-credential/nebula v0.0.0

require (
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/nebula-credential/nebula => ../
