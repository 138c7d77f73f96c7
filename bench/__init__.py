"""What Clary costs: each thing it does, beside the same thing done without it, in the same run on the same machine.

    python -m bench [--only NAME] [--quick] [--json FILE]

One module per measurement; each has `measure(quick)`, which yields Figures as they are measured.
"""
