"""What tools/bench is made of: servers to measure (servers.py), the place they run in (lab.py), the rows of the table
(rows/, one file each) and the table itself (table.py)."""
