"""All that would stop a run, found before it begins: the table, the candidates, ports and stores."""
