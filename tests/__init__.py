"""Tests and proofs; a package so that `from tests.oracles import ...` names this folder."""
