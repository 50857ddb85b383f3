// Package azure keeps records in Azure Key Vault.
package azure
