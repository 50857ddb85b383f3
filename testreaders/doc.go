// Package testreaders holds what Nebula writes and reads as dotenv against the
// programs and libraries that read such files. It is tests only, in a module of
// its own, so that none of them comes near the product.
package testreaders
