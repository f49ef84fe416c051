//! One value for each service, found fast: services are few, and looked up for every record.

use crate::logs::ServiceId;

/// Values by service, sorted by its number.
#[derive(Debug, Clone)]
pub struct Table<T> {
    rows: Vec<(ServiceId, T)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { rows: Vec::new() }
    }
}

impl<T> Table<T> {
    /// The value of a service.
    #[inline]
    #[must_use]
    pub fn get(&self, id: ServiceId) -> Option<&T> {
        let at = self.find(id).ok()?;
        self.rows.get(at).map(|(_, value)| value)
    }

    /// The value of a service, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: ServiceId) -> Option<&mut T> {
        let at = self.find(id).ok()?;
        self.rows.get_mut(at).map(|(_, value)| value)
    }

    /// Sets the value of a service, known or not.
    pub fn set(&mut self, id: ServiceId, value: T) {
        match self.find(id) {
            Ok(at) => {
                if let Some(row) = self.rows.get_mut(at) {
                    row.1 = value;
                }
            }
            Err(at) => self.rows.insert(at, (id, value)),
        }
    }

    /// Forgets a service.
    pub fn remove(&mut self, id: ServiceId) {
        self.rows.retain(|(known, _)| *known != id);
    }

    /// Forgets all. The memory is kept.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// All, in the order of their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ServiceId, &mut T)> {
        self.rows.iter_mut().map(|(id, value)| (*id, value))
    }

    #[inline]
    fn find(&self, id: ServiceId) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&id, |(known, _)| *known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_get_and_forget() {
        let mut table = Table::default();
        for id in [7, 2, u32::MAX, 7, 0] {
            table.set(ServiceId(id), id);
        }
        assert_eq!(table.get(ServiceId(7)), Some(&7));
        assert_eq!(table.get(ServiceId(3)), None);
        let ids: Vec<u32> = table.iter_mut().map(|(id, _)| id.0).collect();
        assert_eq!(ids, [0, 2, 7, u32::MAX]);
        table.remove(ServiceId(2));
        assert_eq!(table.get(ServiceId(2)), None);
    }
}
