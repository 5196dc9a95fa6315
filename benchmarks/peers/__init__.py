"""Other ways to draw a cache, written anew from their published formulas, to be measured beside ours."""
