"""What every stage needs: errors, processes, paths, records, locks, terminal."""
