package main

import "math/big"

// dsaKey is the form that sprig gives DSA keys.
type dsaKey struct {
	Version       int
	P, Q, G, Y, X *big.Int
}

// isWhole tells whether the numbers are those of a DSA key: Go's own package is deprecated and checks nothing.
func (k dsaKey) isWhole() bool {
	one := big.NewInt(1)
	p1 := new(big.Int).Sub(k.P, one)
	return k.P.ProbablyPrime(20) && k.Q.ProbablyPrime(20) &&
		new(big.Int).Mod(p1, k.Q).Sign() == 0 &&
		k.G.Cmp(one) > 0 && new(big.Int).Exp(k.G, k.Q, k.P).Cmp(one) == 0 &&
		k.X.Sign() > 0 && k.X.Cmp(k.Q) < 0 &&
		new(big.Int).Exp(k.G, k.X, k.P).Cmp(k.Y) == 0
}
