"""Finding what other distributions bring, and the contract they keep. Knows no head by name."""
