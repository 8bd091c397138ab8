"""Judge rollouts: did the output comply, and does the scratchpad show alignment-faking reasoning?"""
